"""What instances are asked and answer is captured in S3."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.rehearse.rehearsal import LOVE, Rehearsal
from tests.rehearse.waiting import eventually


def capturing(rehearsal: Rehearsal, percentage: int = 100, **more: Any) -> tuple[str, str]:
    """Create an endpoint that captures, and return its name and the prefix of what it writes."""
    rehearsal.put("made", b"")
    config, prefix = rehearsal.name("config"), rehearsal.name("captured")
    rehearsal.client("sagemaker").create_endpoint_config(
        EndpointConfigName=config,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": rehearsal.model(),
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
        DataCaptureConfig={
            "InitialSamplingPercentage": percentage,
            "DestinationS3Uri": f"s3://models/{prefix}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            **more,
        },
    )
    return rehearsal.endpoint(config), prefix


def written(rehearsal: Rehearsal, prefix: str) -> list[str]:
    found = rehearsal.client("s3").list_objects_v2(Bucket="models", Prefix=prefix)
    return [each["Key"] for each in found.get("Contents", [])]


def test_a_call_is_captured(rehearsal: Rehearsal) -> None:
    headers = {"JsonContentTypes": ["application/jsonlines"]}
    endpoint, prefix = capturing(rehearsal, CaptureContentTypeHeader=headers)
    answer = rehearsal.invoke(endpoint, InferenceId="order-7")["Body"].read()
    (key,) = eventually(lambda: written(rehearsal, prefix))
    assert key.startswith(f"{prefix}/{endpoint}/AllTraffic/20")
    assert key.endswith(".jsonl")
    body = rehearsal.client("s3").get_object(Bucket="models", Key=key)["Body"].read()
    line = json.loads(body)
    assert line["captureData"]["endpointInput"] == {
        "observedContentType": "application/jsonlines",
        "mode": "INPUT",
        "data": LOVE.decode(),
        "encoding": "JSON",
    }
    assert line["captureData"]["endpointOutput"]["data"] == answer.decode()
    assert line["eventMetadata"]["inferenceId"] == "order-7"
    found = rehearsal.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    assert found["DataCaptureConfig"]["CaptureStatus"] == "Started"


def test_without_a_type_it_is_captured_as_base64(rehearsal: Rehearsal) -> None:
    endpoint, prefix = capturing(rehearsal, CaptureOptions=[{"CaptureMode": "Input"}])
    rehearsal.invoke(endpoint)
    (key,) = eventually(lambda: written(rehearsal, prefix))
    body = rehearsal.client("s3").get_object(Bucket="models", Key=key)["Body"].read()
    (side, part), *others = json.loads(body)["captureData"].items()
    assert (side, others) == ("endpointInput", [])
    assert base64.b64decode(part["data"]) == LOVE


def test_what_is_not_in_the_sample_or_switched_off_is_not_captured(rehearsal: Rehearsal) -> None:
    never, nothing = capturing(rehearsal, percentage=0)
    off, none = capturing(rehearsal, EnableCapture=False)
    always, prefix = capturing(rehearsal)
    for endpoint in (never, off, always):
        rehearsal.invoke(endpoint)
    eventually(lambda: written(rehearsal, prefix))
    assert (written(rehearsal, nothing), written(rehearsal, none)) == ([], [])
    found = rehearsal.client("sagemaker").describe_endpoint(EndpointName=off)
    assert found["DataCaptureConfig"]["CaptureStatus"] == "Stopped"
