"""Metrics in log lines become metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rehearse.metering.cloudwatch import embedded_metrics
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
