"""A rehearsal goes from an empty account to an answer, with boto3 as AWS's blog has it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rehearse.rehearsal import IMAGE, LOVE, ROLE, Rehearsal, archive, rehearsing
from tests.rehearse.waiting import eventually


def test_the_blog_runs_unchanged(rehearsal: Rehearsal, packed: Path) -> None:
    """Create a model of a package and an endpoint of 5120 MB and 5 at once, and invoke it."""
    data = rehearsal.put("blog/model.tar.gz", archive(packed))
    client, group = rehearsal.client("sagemaker"), rehearsal.name("group")
    client.create_model_package_group(ModelPackageGroupName=group)
    package = client.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": data}],
            "SupportedContentTypes": ["application/jsonlines"],
            "SupportedResponseMIMETypes": ["application/jsonlines"],
        },
    )["ModelPackageArn"]
    model, config, endpoint = rehearsal.name("m"), rehearsal.name("c"), rehearsal.name("e")
    client.create_model(
        ModelName=model, ExecutionRoleArn=ROLE, Containers=[{"ModelPackageName": package}]
    )
    client.create_endpoint_config(
        EndpointConfigName=config,
        ProductionVariants=[
            {
                "ModelName": model,
                "VariantName": "AllTraffic",
                "ServerlessConfig": {"MemorySizeInMB": 5120, "MaxConcurrency": 5},
            }
        ],
    )
    client.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    client.get_waiter("endpoint_in_service").wait(EndpointName=endpoint)
    found = rehearsal.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=LOVE, ContentType="application/jsonlines"
    )
    answer = json.loads(found["Body"].read())
    assert set(answer) == {"probability", "predicted_label"}
    assert found["InvokedProductionVariant"] == "AllTraffic"
    assert found["ContentType"] == "application/jsonlines"


@pytest.fixture(scope="module")
def endpoint(rehearsal: Rehearsal) -> str:
    return rehearsal.endpoint(rehearsal.config(rehearsal.model()))


def statistics(rehearsal: Rehearsal, endpoint: str, metric: str, statistic: str) -> list[float]:
    now = datetime.now(UTC)
    found = rehearsal.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=[statistic],
    )
    return [each[statistic] for each in found["Datapoints"]]


def test_metrics_are_in_cloudwatch(rehearsal: Rehearsal) -> None:
    endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model()))
    for _ in range(3):
        rehearsal.invoke(endpoint)
    with pytest.raises(ClientError):
        rehearsal.invoke(endpoint, b"no json")
    assert statistics(rehearsal, endpoint, "Invocations", "Sum") == [4.0]
    assert statistics(rehearsal, endpoint, "Invocation4XXErrors", "Sum") == [1.0]
    assert statistics(rehearsal, endpoint, "Invocation5XXErrors", "Sum") == [0.0]
    assert statistics(rehearsal, endpoint, "ModelLatency", "Minimum")[0] > 0
    assert statistics(rehearsal, endpoint, "OverheadLatency", "Minimum")[0] >= 0
    used = statistics(rehearsal, endpoint, "ServerlessConcurrentExecutionsUtilization", "Maximum")
    assert used == [0.5]
    assert not statistics(rehearsal, endpoint, "ServerlessProvisionedConcurrencyInvocations", "Sum")


def test_a_metric_is_listed_once(rehearsal: Rehearsal, endpoint: str) -> None:
    rehearsal.invoke(endpoint)
    rehearsal.invoke(endpoint)
    found = rehearsal.client("cloudwatch").list_metrics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
    )
    assert len(found["Metrics"]) == 1
    # The container's own, which have no dimensions where it is not told its endpoint.
    given = {"Namespace": "ServerlessSentiment", "MetricName": "QueueTime"}
    metrics = rehearsal.client("cloudwatch").list_metrics(**given)["Metrics"]
    assert len([each for each in metrics if not each["Dimensions"]]) == 1


def test_the_container_log_is_in_its_group(rehearsal: Rehearsal, endpoint: str) -> None:
    rehearsal.invoke(endpoint, InferenceId="find-me")
    pages = rehearsal.client("logs").get_paginator("filter_log_events")

    def events() -> list[dict[str, Any]]:
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        found = pages.paginate(logGroupName=group, filterPattern="find-me")
        return [event for page in found for event in page["events"]]

    assert eventually(events)[0]["logStreamName"].startswith("AllTraffic/")


def test_two_rehearsals_do_not_disturb_each_other(rehearsal: Rehearsal, endpoint: str) -> None:
    with rehearsing() as other:
        assert other.client("sagemaker").list_endpoints()["Endpoints"] == []
        with pytest.raises(ClientError, match="not found"):
            other.invoke(endpoint)
    assert rehearsal.invoke(endpoint)["Body"].read()


def test_what_is_not_imitated_is_said_in_one_line(rehearsal: Rehearsal) -> None:
    with pytest.raises(ClientError, match=r"cannot answer SageMaker\.CreateSpace") as caught:
        rehearsal.client("sagemaker").create_space(DomainId="d-1", SpaceName="s")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_what_fails_in_s3_is_said(rehearsal: Rehearsal) -> None:
    """Its clients read errors as XML."""
    s3 = rehearsal.client("s3")
    s3.create_bucket(Bucket="failing")
    with pytest.raises(ClientError, match="The rehearsal cannot answer /failing/copy") as caught:
        s3.copy_object(Bucket="failing", Key="copy", CopySource="failing")
    assert caught.value.response["Error"]["Code"] == "InternalFailure"
