"""Training jobs run: what they are given, what they leave, how they end, and what is told of it."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from platform_facts import TRAINING_STOP_SECONDS
from rehearse.training_jobs.folders import relative_name
from tests.rehearse.rehearsal import IMAGE, ROLE, Rehearsal, rehearsing
from tests.rehearse.waiting import eventually

SCRIPT = Path(__file__).with_name("scripted_training.py")
METRICS = [{"Name": "train:loss", "Regex": r"loss=([0-9.e+-]+)"}]
TOLD = "/aws/sagemaker/TrainingJobs"


def request(name: str, **changes: Any) -> dict[str, Any]:
    """Return what CreateTrainingJob is sent for the scripted container."""
    algorithm = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": [sys.executable, str(SCRIPT)],
        "MetricDefinitions": METRICS,
        **changes.pop("AlgorithmSpecification", {}),
    }
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {each: given for each, given in algorithm.items() if given != []},
        "OutputDataConfig": {"S3OutputPath": "s3://jobs/out/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **changes,
    }


def channel(name: str, uri: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, **changes.pop("source", {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **changes}


def start(rehearsal: Rehearsal, **changes: Any) -> str:
    rehearsal.client("s3").create_bucket(Bucket="jobs")
    name = rehearsal.name("train")
    rehearsal.client("sagemaker").create_training_job(**request(name, **changes))
    return name


def describe(rehearsal: Rehearsal, name: str) -> dict[str, Any]:
    return dict(rehearsal.client("sagemaker").describe_training_job(TrainingJobName=name))


def ended(rehearsal: Rehearsal, name: str) -> dict[str, Any]:
    """Return what is told of a job when it is over; the waiter raises where it has failed."""
    eventually(lambda: "TrainingEndTime" in describe(rehearsal, name))
    return describe(rehearsal, name)


def files(rehearsal: Rehearsal, url: str) -> dict[str, bytes]:
    """Return what an archive in S3 holds."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    body = rehearsal.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        members = {each.name: tar.extractfile(each) for each in tar.getmembers()}
        return {name: found.read() for name, found in members.items() if found}


def lines(rehearsal: Rehearsal, name: str) -> list[str]:
    """Return what a job has logged."""
    logs = rehearsal.client("logs")
    given: dict[str, Any] = {"logGroupName": TOLD, "logStreamNamePrefix": f"{name}/algo-1-"}
    streams = logs.describe_log_streams(**given)["logStreams"]
    return [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(logGroupName=TOLD, logStreamName=stream["logStreamName"])[
            "events"
        ]
    ]


def holding(rehearsal: Rehearsal, **changes: Any) -> str:
    """Start a job, and return its name when it waits for SIGTERM."""
    name = start(rehearsal, HyperParameters={"do": "hold"}, **changes)

    def says_so() -> bool:
        try:
            return "holding" in lines(rehearsal, name)
        except ClientError:  # there is no log group yet
            return False

    eventually(says_so)
    return name


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("data/train/a.csv", "data/train/", "a.csv"),
        ("data/train/b/a.csv", "data/train", "b/a.csv"),
        ("data/train.csv", "data/train.csv", "train.csv"),
        ("data/train.csv", "data/tr", "train.csv"),
        ("train/a.csv", "tr", "train/a.csv"),
        ("a/b.csv", "", "a/b.csv"),
    ],
)
def test_names_in_a_channel(key: str, prefix: str, expected: str) -> None:
    assert relative_name(key, prefix) == expected


def test_a_job_is_given_what_was_asked_and_leaves_its_model(rehearsal: Rehearsal) -> None:
    rehearsal.put("in/train/one.jsonl", b"1", "jobs")
    rehearsal.put("in/train/deep/two.jsonl", b"2", "jobs")
    rehearsal.put("kept/job/step-1", b"one", "jobs")
    sagemaker, before = rehearsal.client("sagemaker"), datetime.now(UTC)
    name = start(
        rehearsal,
        HyperParameters={"epochs": "2", "say": "step 1 loss=0.75"},
        Environment={"MINE": "yes"},
        InputDataConfig=[
            channel("train", "s3://jobs/in/train/", ContentType="application/jsonlines"),
            channel("one", "s3://jobs/in/train/one.jsonl", InputMode="FastFile"),
        ],
        CheckpointConfig={"S3Uri": "s3://jobs/kept/job"},
    )
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)
    job = describe(rehearsal, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    steps = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(each["StartTime"] <= each["EndTime"] for each in job["SecondaryStatusTransitions"])
    assert before < job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1
    assert job["Environment"] == {"MINE": "yes"}
    assert job["AlgorithmSpecification"]["MetricDefinitions"] == METRICS
    url = f"s3://jobs/out/{name}/output/model.tar.gz"
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": url}

    told = json.loads(files(rehearsal, url)["told.json"])
    assert told["hyperparameters"] == {"epochs": "2", "say": "step 1 loss=0.75"}
    assert told["inputdataconfig"]["train"]["ContentType"] == "application/jsonlines"
    assert told["inputdataconfig"]["one"]["TrainingInputMode"] == "FastFile"
    assert told["resourceconfig"]["hosts"] == [told["resourceconfig"]["current_host"]] == ["algo-1"]
    environment = told["environment"]
    assert environment["TRAINING_JOB_NAME"] == name
    assert environment["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    assert (environment["AWS_REGION"], environment["MINE"]) == ("us-east-1", "yes")
    assert told["files"] == {
        "input/data/train/one.jsonl": "1",
        "input/data/train/deep/two.jsonl": "2",
        "input/data/one/one.jsonl": "1",
        "checkpoints/step-1": "one",
    }
    output = url.replace("model.tar.gz", "output.tar.gz")
    assert files(rehearsal, output) == {"report.txt": b"well"}
    step = rehearsal.client("s3").get_object(Bucket="jobs", Key="kept/job/step-2")
    assert step["Body"].read() == b"two"


def test_metrics_are_found_in_the_log(rehearsal: Rehearsal) -> None:
    name = start(rehearsal, HyperParameters={"say": "loss=0.75 loss=0.5 loss=..", "do": "nothing"})
    job = ended(rehearsal, name)
    (final,) = job["FinalMetricDataList"]
    assert (final["MetricName"], final["Value"]) == ("train:loss", 0.5)
    found = rehearsal.client("cloudwatch").get_metric_statistics(
        Namespace=TOLD,
        MetricName="train:loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": name}],
        StartTime=job["TrainingStartTime"] - timedelta(minutes=1),
        EndTime=job["TrainingEndTime"] + timedelta(minutes=1),
        Period=60,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]
    assert [sum(each[what] for each in found) for what in ("SampleCount", "Sum")] == [2, 1.25]
    assert lines(rehearsal, name) == ["loss=0.75 loss=0.5 loss=.."]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"do": "fail", "why": "no text"}, "AlgorithmError: no text, exit code: 3"),
        ({"do": "fail"}, "AlgorithmError: , exit code: 3"),
        ({"do": "die"}, "AlgorithmError: , exit code: 137"),
    ],
)
def test_a_failed_job_says_why(given: dict[str, str], reason: str, rehearsal: Rehearsal) -> None:
    job = ended(rehearsal, start(rehearsal, HyperParameters=given))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == reason
    assert job["TrainingEndTime"]


def test_a_long_reason_is_cut(rehearsal: Rehearsal) -> None:
    job = ended(rehearsal, start(rehearsal, HyperParameters={"do": "fail", "why": "x" * 2000}))
    assert len(job["FailureReason"]) == 1024
    assert job["FailureReason"].endswith("x, exit code: 3")


def test_a_program_that_cannot_be_run_fails_the_job(rehearsal: Rehearsal) -> None:
    entry = {"ContainerEntrypoint": ["/no/such/program"]}
    job = ended(rehearsal, start(rehearsal, AlgorithmSpecification=entry))
    assert job["FailureReason"].startswith("ClientError: Cannot pull algorithm container.")
    assert "/no/such/program" in job["FailureReason"]


def test_a_stopped_job_leaves_its_model(rehearsal: Rehearsal) -> None:
    sagemaker, name = rehearsal.client("sagemaker"), holding(rehearsal)
    assert describe(rehearsal, name)["SecondaryStatus"] == "Training"
    sagemaker.stop_training_job(TrainingJobName=name)
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)
    job = describe(rehearsal, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    steps = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert steps[2:] == ["Training", "Stopping", "Uploading", "Stopped"]
    model = files(rehearsal, job["ModelArtifacts"]["S3ModelArtifacts"])
    assert model == {"best": b"so far"}
    with pytest.raises(ClientError, match="the training job is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_that_runs_too_long_is_stopped(rehearsal: Rehearsal) -> None:
    hold = {"do": "hold"}
    name = start(rehearsal, HyperParameters=hold, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = ended(rehearsal, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert files(rehearsal, job["ModelArtifacts"]["S3ModelArtifacts"]) == {"best": b"so far"}


def test_jobs_are_listed_and_deleted(rehearsal: Rehearsal) -> None:
    sagemaker = rehearsal.client("sagemaker")
    first, second = (start(rehearsal, HyperParameters={"do": "nothing"}) for _ in range(2))
    failed = start(rehearsal, HyperParameters={"do": "fail"})
    for name in (first, second, failed):
        ended(rehearsal, name)

    def listed(**asked: Any) -> list[str]:
        pages = sagemaker.get_paginator("list_training_jobs").paginate(
            PaginationConfig={"PageSize": 2}, CreationTimeAfter=born, **asked
        )
        return [each["TrainingJobName"] for page in pages for each in page["TrainingJobSummaries"]]

    born = describe(rehearsal, first)["CreationTime"]
    assert listed() == [failed, second, first]
    assert listed(SortBy="Name", SortOrder="Ascending") == sorted([first, second, failed])
    assert listed(StatusEquals="Failed") == [failed]
    assert listed(NameContains=second) == [second]
    assert listed(StatusEquals="Stopped") == []
    for wrong, says in (
        ({"StatusEquals": "Done"}, "'Done' at 'statusEquals' .* enum value set: .*Completed"),
        ({"SortBy": "Age"}, "'Age' at 'sortBy' .* enum value set"),
        ({"MaxResults": 101}, "'101' at 'maxResults' .* less than or equal to 100"),
        ({"NextToken": "of-nobody"}, "of-nobody|token"),
    ):
        with pytest.raises(ClientError, match=says):
            sagemaker.list_training_jobs(**wrong)
    sagemaker.delete_training_job(TrainingJobName=failed)
    assert listed() == [second, first]
    with pytest.raises(ClientError, match="Requested resource not found"):
        describe(rehearsal, failed)


def test_a_job_is_found_by_its_model(rehearsal: Rehearsal) -> None:
    first, second = start(rehearsal), start(rehearsal)
    model = ended(rehearsal, second)["ModelArtifacts"]["S3ModelArtifacts"]
    ended(rehearsal, first)
    search = rehearsal.client("sagemaker").search

    def found(*filters: tuple[str, str]) -> list[str]:
        asked = [{"Name": name, "Operator": "Equals", "Value": text} for name, text in filters]
        results = search(Resource="TrainingJob", SearchExpression={"Filters": asked})["Results"]
        return [each["TrainingJob"]["TrainingJobName"] for each in results]

    by_model = ("ModelArtifacts.S3ModelArtifacts", model)
    assert found(by_model) == [second]
    assert found(by_model, ("TrainingJobName", first)) == []
    assert found(("TrainingJobName", first)) == [first]


def test_a_job_that_runs_is_not_deleted(rehearsal: Rehearsal) -> None:
    sagemaker, name = rehearsal.client("sagemaker"), holding(rehearsal)
    with pytest.raises(ClientError) as caught:
        sagemaker.delete_training_job(TrainingJobName=name)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    with pytest.raises(ClientError, match="must be unique"):
        sagemaker.create_training_job(**request(name))
    sagemaker.stop_training_job(TrainingJobName=name)
    ended(rehearsal, name)


ONE = "s3://jobs/there"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}},
            "one instance; InstanceCount must be 1",
        ),
        ({"InputDataConfig": [channel("train", ONE, InputMode="Pipe")]}, "Pipe is not imitated"),
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "Pipe"}}
            | {"InputDataConfig": [channel("train", ONE)]},
            "Pipe is not imitated",
        ),
        (
            {"InputDataConfig": [channel("a", ONE, source={"S3DataType": "ManifestFile"})]},
            "S3DataType ManifestFile is not imitated; use S3Prefix",
        ),
        ({"InputDataConfig": [channel("a", ONE), channel("a", ONE)]}, "is named twice"),
        (
            {"InputDataConfig": [channel("a", "s3://jobs/nothing")]},
            'No S3 objects found under S3 URL "s3://jobs/nothing"',
        ),
        ({"OutputDataConfig": {"S3OutputPath": "/tmp"}}, "is no address of S3"),
        ({"StoppingCondition": {}}, "MaxRuntimeInSeconds"),
        ({"AlgorithmSpecification": {"TrainingImage": ""}}, "TrainingImage"),
        (
            {"AlgorithmSpecification": {"MetricDefinitions": [{"Name": "a", "Regex": "("}]}},
            "cannot be read",
        ),
        (
            {"AlgorithmSpecification": {"MetricDefinitions": [{"Name": "a", "Regex": "loss"}]}},
            "must have a group",
        ),
        ({"CheckpointConfig": {"S3Uri": ONE, "LocalPath": "/else"}}, "below /opt/ml"),
        ({"CheckpointConfig": {"S3Uri": ONE, "LocalPath": "/opt/ml/../x"}}, "below /opt/ml"),
        ({"InputDataConfig": [channel("..", ONE)]}, "channelName"),
        ({"InputDataConfig": [channel("a/../../b", ONE)]}, "channelName"),
        ({"TrainingJobName": "no_underscore"}, "trainingJobName"),
    ],
)
def test_what_cannot_run_is_refused(
    changes: dict[str, Any], says: str, rehearsal: Rehearsal
) -> None:
    rehearsal.put("there", b"1", "jobs")
    asked = {**request("refused"), **request("refused", **changes)}
    with pytest.raises(ClientError) as caught:
        rehearsal.client("sagemaker").create_training_job(**asked)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert says in caught.value.response["Error"]["Message"]
    names = [
        each["TrainingJobName"]
        for each in rehearsal.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    ]
    assert "refused" not in names


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files of a rehearsal that is started here."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def process_of(rehearsal: Rehearsal) -> psutil.Process:
    """Return the process of the one job that runs."""
    (found,) = (
        each
        for each in psutil.Process(rehearsal.process.pid).children()
        if str(SCRIPT) in each.cmdline()
    )
    return found


def test_jobs_end_with_the_rehearsal(temporary: Path) -> None:
    """A job that ignores SIGTERM does not hold it up, and leaves no folder."""
    with rehearsing() as rehearsal:
        holding(rehearsal, Environment={"STUBBORN": "1"})
        job = process_of(rehearsal)
        begun = time.monotonic()
    assert time.monotonic() - begun < TRAINING_STOP_SECONDS
    assert not job.is_running()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_rehearsal_leaves_of_a_job_is_ended(temporary: Path) -> None:
    with rehearsing() as rehearsal:
        holding(rehearsal, Environment={"STUBBORN": "1"})
        job = process_of(rehearsal)
        rehearsal.process.kill()
    assert job.is_running()
    with rehearsing():
        eventually(lambda: not job.is_running())
    assert list(temporary.iterdir()) == []
