"""Batch Transform jobs run; payloads are cut and put together as AWS does."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from platform_facts import MEGABYTE
from rehearse.batch.payloads import assemble, payloads
from rehearse.batch.transform import ExecutionParameters, TransformJob
from rehearse.data_plane.cleanup import Cleanup
from rehearse.data_types import ContainerDefinition
from rehearse.errors import TransformError, TransformStopped
from tests.rehearse.rehearsal import LOVE, Rehearsal
from tests.rehearse.scripted_variant import scripted_engine
from tests.rehearse.waiting import eventually

LINES = b'{"a": "\xe2\x80\xa8"}\n\n{"b": 2}\r\n{"c": 3}'


@pytest.mark.parametrize(
    ("split", "strategy", "most", "expected"),
    [
        ("None", "MultiRecord", 0, [LINES]),
        ("Line", "SingleRecord", 0, [b'{"a": "\xe2\x80\xa8"}\n', b'{"b": 2}\r\n', b'{"c": 3}\n']),
        ("Line", "MultiRecord", 0, [b'{"a": "\xe2\x80\xa8"}\n{"b": 2}\r\n{"c": 3}\n']),
        ("Line", "MultiRecord", 24, [b'{"a": "\xe2\x80\xa8"}\n{"b": 2}\r\n', b'{"c": 3}\n']),
    ],
)
def test_payloads(split: str, strategy: str, most: int, expected: list[bytes]) -> None:
    assert list(payloads(LINES, split, strategy, most, "a")) == expected


def test_an_empty_object_asks_nothing() -> None:
    assert list(payloads(b"", "None", "MultiRecord", 0, "a")) == []
    assert list(payloads(b"\n\n", "Line", "MultiRecord", 0, "a")) == []


@pytest.mark.parametrize(
    ("body", "split", "says"),
    [
        (b"x" * (MEGABYTE + 1), "Line", "larger than MaxPayloadInMB 1"),
        (b"x", "TFRecord", "TFRecord is not imitated"),
    ],
)
def test_an_object_that_cannot_be_cut_is_an_error(body: bytes, split: str, says: str) -> None:
    with pytest.raises(TransformError) as caught:
        list(payloads(body, split, "MultiRecord", MEGABYTE, "a"))
    assert says in caught.value.detail


def test_assembling() -> None:
    assert assemble([b"a", b"b"], "None") == b"ab"
    assert assemble([b"a", b"b"], "Line") == b"a\nb\n"


def test_what_the_job_says_goes_before_what_the_container_says() -> None:
    container = {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 9,
    }
    assert ExecutionParameters.of({}, {}) == ExecutionParameters("MultiRecord", 6, 1)
    assert ExecutionParameters.of({}, container) == ExecutionParameters("SingleRecord", 9, 4)
    asked = {"BatchStrategy": "MultiRecord", "MaxPayloadInMB": 0, "MaxConcurrentTransforms": 2}
    assert ExecutionParameters.of(asked, container) == ExecutionParameters("MultiRecord", 0, 2)
    nonsense = {"MaxConcurrentTransforms": -1, "MaxPayloadInMB": "many"}
    assert ExecutionParameters.of({}, nonsense) == ExecutionParameters("MultiRecord", 6, 1)


@pytest.fixture(scope="module")
def model(rehearsal: Rehearsal) -> str:
    return rehearsal.model()


def transform(rehearsal: Rehearsal, model: str, uri: str, **changes: Any) -> str:
    """Start a job that writes below s3://models/out/NAME, and return its name."""
    name = rehearsal.name("job")
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    given = {
        "TransformInput": {
            "DataSource": {"S3DataSource": source},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
            **changes.pop("input", {}),
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://models/out/{name}",
            "Accept": "application/jsonlines",
            **changes.pop("output", {}),
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **changes,
    }
    rehearsal.client("sagemaker").create_transform_job(
        TransformJobName=name, ModelName=model, **given
    )
    return name


def ended(rehearsal: Rehearsal, name: str) -> dict[str, Any]:
    def found() -> dict[str, Any]:
        job = rehearsal.client("sagemaker").describe_transform_job(TransformJobName=name)
        return dict(job) if job["TransformJobStatus"] not in ("InProgress", "Stopping") else {}

    return dict(eventually(found, 60))


def outputs(rehearsal: Rehearsal, name: str) -> dict[str, bytes]:
    s3, prefix = rehearsal.client("s3"), f"out/{name}/"
    found = s3.list_objects_v2(Bucket="models", Prefix=prefix).get("Contents", [])
    return {
        each["Key"].removeprefix(prefix): s3.get_object(Bucket="models", Key=each["Key"])[
            "Body"
        ].read()
        for each in found
    }


def labels(body: bytes) -> list[int]:
    return [json.loads(line)["predicted_label"] for line in body.split(b"\n") if line]


def test_a_job_answers_every_object_in_its_order(rehearsal: Rehearsal, model: str) -> None:
    bad = b'{"features": ["This is awful, it broke."]}\n'
    uri = rehearsal.put("many/a.jsonl", LOVE + bad + LOVE)
    rehearsal.put("many/sub/b.jsonl", bad)
    name = transform(rehearsal, model, uri.removesuffix("a.jsonl"), BatchStrategy="SingleRecord")
    job = ended(rehearsal, name)
    assert job["TransformJobStatus"] == "Completed"
    assert job["TransformEndTime"] >= job["TransformStartTime"]
    found = outputs(rehearsal, name)
    assert set(found) == {"a.jsonl.out", "sub/b.jsonl.out"}
    assert labels(found["a.jsonl.out"]) == [1, -1, 1]
    assert labels(found["sub/b.jsonl.out"]) == [-1]
    bill = urllib3.request("GET", f"{rehearsal.url}/rehearse/bill").json()
    (charge,) = [each for each in bill["transform_jobs"] if each["arn"] == job["TransformJobArn"]]
    assert (charge["instance_type"], charge["instances"]) == ("ml.m5.large", 1)
    assert charge["seconds"] > 0


def test_answers_are_not_glued(rehearsal: Rehearsal, model: str) -> None:
    """More than one payload, with and without AssembleWith."""
    uri = rehearsal.put("glue/a.jsonl", LOVE * 3)
    for how in ("None", "Line"):
        output = {"AssembleWith": how}
        name = transform(rehearsal, model, uri, BatchStrategy="SingleRecord", output=output)
        assert ended(rehearsal, name)["TransformJobStatus"] == "Completed"
        assert labels(outputs(rehearsal, name)["a.jsonl.out"]) == [1, 1, 1]


def test_compressed_input_and_a_manifest(rehearsal: Rehearsal, model: str) -> None:
    rehearsal.put("packed/a.gz", gzip.compress(LOVE * 2))
    manifest = rehearsal.put("packed.json", b'[{"prefix": "s3://models/packed/"}, "a.gz"]')
    source = {"S3DataType": "ManifestFile", "S3Uri": manifest}
    given = {"DataSource": {"S3DataSource": source}, "CompressionType": "Gzip"}
    name = transform(rehearsal, model, manifest, input=given)
    assert ended(rehearsal, name)["TransformJobStatus"] == "Completed"
    assert labels(outputs(rehearsal, name)["a.gz.out"]) == [1, 1]


def test_a_bad_record_fails_the_job_and_the_log_says_why(rehearsal: Rehearsal, model: str) -> None:
    name = transform(rehearsal, model, rehearsal.put("bad/a.jsonl", LOVE + b"no json\n"))
    job = ended(rehearsal, name)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert outputs(rehearsal, name) == {}
    events = rehearsal.client("logs").get_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamName=f"{name}/data-log"
    )["events"]
    assert "400" in events[0]["message"]


def test_a_prefix_without_objects_fails_the_job(rehearsal: Rehearsal, model: str) -> None:
    job = ended(rehearsal, transform(rehearsal, model, "s3://models/nothing-here"))
    assert job["TransformJobStatus"] == "Failed"


def test_a_job_can_be_stopped_and_names_are_taken_once(rehearsal: Rehearsal, model: str) -> None:
    client = rehearsal.client("sagemaker")
    uri = rehearsal.put("long/a.jsonl", LOVE * 20000)
    name = transform(rehearsal, model, uri, BatchStrategy="SingleRecord")
    client.stop_transform_job(TransformJobName=name)
    assert ended(rehearsal, name)["TransformJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped"):
        client.stop_transform_job(TransformJobName=name)
    with pytest.raises(ClientError, match="Cannot create already existing transform job"):
        client.create_transform_job(
            TransformJobName=name,
            ModelName=model,
            TransformInput={
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
            },
            TransformOutput={"S3OutputPath": "s3://models/out"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )


@pytest.mark.parametrize(
    ("changes", "body", "says"),
    [
        ({"S3DataType": "ManifestFile"}, b"[]", "is not a manifest"),
        ({"S3DataType": "ManifestFile"}, b'[{"prefix": "s3://models/no/"}, "a"]', "NoSuchKey"),
        ({}, b"plain", "is not gzip"),
    ],
)
def test_input_that_cannot_be_read_is_in_the_data_log(
    rehearsal: Rehearsal, model: str, changes: dict[str, str], body: bytes, says: str
) -> None:
    uri = rehearsal.put(f"{rehearsal.name('unreadable')}/a", body)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, **changes}}
    job = ended(
        rehearsal,
        transform(rehearsal, model, uri, input={"DataSource": source, "CompressionType": "Gzip"}),
    )
    assert job["FailureReason"].startswith("ClientError")
    stream = f"{job['TransformJobName']}/data-log"
    logs = rehearsal.client("logs").get_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamName=stream
    )
    assert says in logs["events"][0]["message"]


def test_a_job_that_hangs_can_be_stopped(rehearsal: Rehearsal, tmp_path: Path) -> None:
    uri = rehearsal.put(
        "hang/a", json.dumps({"do": "hold", "until": str(tmp_path / "never")}).encode()
    )
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    asked = {
        "TransformInput": {"DataSource": source},
        "TransformOutput": {"S3OutputPath": "s3://models/out"},
    }
    lines: list[str] = []
    stopping, container = threading.Event(), ContainerDefinition("any", None, {})
    with closing(Cleanup()) as cleanup, ThreadPoolExecutor(1) as threads:
        s3, engine = rehearsal.client("s3"), scripted_engine()
        job = TransformJob(asked, container, s3, engine, lines.append, stopping, cleanup.closing)
        running = threads.submit(job.run)
        try:
            eventually(lambda: "holding" in lines)
        finally:
            stopping.set()
        assert isinstance(running.exception(30), TransformStopped)
