"""Metrics in log lines become metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends

from rehearse.metering import cloudwatch
from rehearse.metering.cloudwatch import VariantMonitor, embedded_metrics
from tests.rehearse.rehearsal import Rehearsal
from tests.rehearse.waiting import eventually

LINE: dict[str, Any] = {
    "_aws": {
        "Timestamp": 1_800_000_000_000,
        "CloudWatchMetrics": [
            {
                "Namespace": "Mine",
                "Dimensions": [["Where"], []],
                "Metrics": [{"Name": "Time", "Unit": "Milliseconds"}, {"Name": "Count"}],
            }
        ],
    },
    "Where": "here",
    "Time": [1.5, 2.5],
    "Count": 3,
}
ARN = f"arn:aws:sagemaker:us-east-1:{'1' * 12}:endpoint/bounded"


def test_each_value_is_a_point_under_each_set_of_dimensions() -> None:
    ((namespace, data),) = embedded_metrics(json.dumps(LINE))
    assert namespace == "Mine"
    found = [(each["MetricName"], each["Value"], each["Unit"]) for each in data]
    points = [("Time", 1.5, "Milliseconds"), ("Time", 2.5, "Milliseconds"), ("Count", 3, "None")]
    assert found == points * 2
    assert [each["Dimensions"] for each in data[2:4]] == [[{"Name": "Where", "Value": "here"}], []]
    assert data[0]["Timestamp"] == datetime(2027, 1, 15, 8, 0)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "plain",
        '{"_aws"',
        '{"_aws": 3}',
        json.dumps({**LINE, "Time": "slow"}),
        json.dumps({**LINE, "_aws": {"Timestamp": 10**30, "CloudWatchMetrics": []}}),
        json.dumps({key: value for key, value in LINE.items() if key != "Where"}),
    ],
)
def test_other_lines_are_lines(line: str) -> None:
    assert embedded_metrics(line) == []


def test_what_is_no_number_is_left_out() -> None:
    ((_, data),) = embedded_metrics(json.dumps({**LINE, "Time": [float("nan"), 1]}))
    assert [each["Value"] for each in data] == [1, 3, 1, 3]


def test_metrics_of_the_container_are_in_cloudwatch(rehearsal: Rehearsal) -> None:
    endpoint = rehearsal.endpoint(
        rehearsal.config(rehearsal.model(Environment={"ENDPOINT_NAME": "shop"}))
    )
    rehearsal.invoke(endpoint)
    client, now = rehearsal.client("cloudwatch"), datetime.now(UTC)

    def points() -> list[Any]:
        found = client.get_metric_statistics(
            Namespace="ServerlessSentiment",
            MetricName="RecordsPerRequest",
            Dimensions=[{"Name": "EndpointName", "Value": "shop"}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=600,
            Statistics=["Sum"],
        )
        return list(found["Datapoints"])

    assert [each["Sum"] for each in eventually(points)] == [1]


@pytest.fixture(scope="module")
def namespace(rehearsal: Rehearsal) -> str:
    """Put the numbers from 1 to 100 and their squares."""
    data = [
        {"MetricName": name, "Value": float(value)}
        for each in range(1, 101)
        for name, value in (("Number", each), ("Square", each * each))
    ]
    rehearsal.client("cloudwatch").put_metric_data(Namespace="Numbers", MetricData=data)
    return "Numbers"


def period() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1)}


def metric(namespace: str, name: str, stat: str, **more: Any) -> dict[str, Any]:
    """Return a query of GetMetricData."""
    asked = {"Namespace": namespace, "MetricName": name}
    return {
        "Id": name.lower(),
        "MetricStat": {"Metric": asked, "Period": 24 * 3600, "Stat": stat},
        **more,
    }


def test_percentiles_are_computed(rehearsal: Rehearsal, namespace: str) -> None:
    client = rehearsal.client("cloudwatch")
    found = client.get_metric_statistics(
        Namespace=namespace,
        MetricName="Number",
        **period(),
        Period=24 * 3600,
        ExtendedStatistics=["p50", "p99.9"],
    )
    (point,) = found["Datapoints"]
    assert 50 <= point["ExtendedStatistics"]["p50"] <= 51
    assert 99 <= point["ExtendedStatistics"]["p99.9"] <= 100
    answer = client.get_metric_data(
        MetricDataQueries=[metric(namespace, "Number", "p95")], **period()
    )
    assert 95 <= answer["MetricDataResults"][0]["Values"][0] <= 96
    with pytest.raises(ClientError, match="percentiles; not tm90"):
        client.get_metric_data(MetricDataQueries=[metric(namespace, "Number", "tm90")], **period())


def test_expressions_are_computed(rehearsal: Rehearsal, namespace: str) -> None:
    client = rehearsal.client("cloudwatch")
    queries = [
        metric(namespace, "Number", "Sum", ReturnData=False),
        metric(namespace, "Square", "Maximum"),
        {"Id": "twice", "Expression": "number*2"},
        {"Id": "hidden", "Expression": "twice + 1", "ReturnData": False},
        {"Id": "share", "Expression": "100 * number / hidden", "Label": "Share"},
    ]
    found = client.get_metric_data(MetricDataQueries=queries, **period())["MetricDataResults"]
    assert [(each["Id"], each["Label"], each["Values"]) for each in found] == [
        ("square", "Square Maximum", [10_000.0]),
        ("twice", "twice", [10_100.0]),
        ("share", "Share", [pytest.approx(505_000 / 10_101)]),
    ]
    with pytest.raises(ClientError, match="Error in expression: other names no metric"):
        client.get_metric_data(
            MetricDataQueries=[{"Id": "e", "Expression": "other * 2"}], **period()
        )


def test_the_dashboard_has_the_percentiles_that_it_shows(rehearsal: Rehearsal) -> None:
    endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model()))
    rehearsal.invoke(endpoint)
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
    query = metric("AWS/SageMaker", "ModelLatency", "p99")
    query["MetricStat"]["Metric"]["Dimensions"] = [
        {"Name": name, "Value": value} for name, value in dimensions.items()
    ]
    client = rehearsal.client("cloudwatch")
    (found,) = client.get_metric_data(MetricDataQueries=[query], **period())["MetricDataResults"]
    assert found["Values"][0] > 0


def test_log_events_are_filtered_by_their_members(rehearsal: Rehearsal) -> None:
    endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model()))
    client, group = rehearsal.client("logs"), f"/aws/sagemaker/Endpoints/{endpoint}"

    def events(pattern: str) -> list[Any]:
        return list(client.filter_log_events(logGroupName=group, filterPattern=pattern)["events"])

    rehearsal.invoke(endpoint)
    eventually(lambda: events('{ $.event = "request" && $.status = 200 }'))
    assert not events('{ $.event = "request" && $.status >= 400 }')
    with pytest.raises(ClientError, match="is no selector") as caught:
        events("{ event = request }")
    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"


def test_no_more_than_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the process of the test, which has a CloudWatch of its own."""
    monkeypatch.setattr(cloudwatch, "MOST_POINTS", 100)
    monkeypatch.setattr(cloudwatch, "MOST_EVENTS", 10)
    monitor = VariantMonitor(ARN, "v", "stream")
    for number in range(300):
        monitor.log(json.dumps({**LINE, "Time": number, "Count": number}))
    points = cloudwatch_backends["1" * 12]["us-east-1"].metric_data
    assert 50 <= len(points) <= 100
    stream = (
        logs_backends["1" * 12]["us-east-1"]
        .groups["/aws/sagemaker/Endpoints/bounded"]
        .streams["v/stream"]
    )
    assert 5 <= len(stream.events) <= 10
    assert json.loads(stream.events[-1].message)["Count"] == 299
    monkeypatch.setattr(cloudwatch, "MOST_LOG_BYTES", 1000)
    for _ in range(3):
        monitor.log("x" * 600)
    assert sum(len(each.message) for each in stream.events) <= 1200
