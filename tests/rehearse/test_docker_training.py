"""Training jobs run in Docker, with the image that CreateTrainingJob names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from tests.contract.conftest import build
from tests.rehearse.rehearsal import Rehearsal, rehearsing
from tests.rehearse.scripted_image import scripted_image
from tests.rehearse.test_training import SCRIPT, channel, ended, files, holding, lines, start


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Build an image whose `train` is scripted_training.py, and whose user is not root."""
    with scripted_image(build("slim"), "train", SCRIPT) as tag:
        yield tag


@pytest.fixture(scope="module")
def in_docker(image: str) -> Iterator[Rehearsal]:
    """Run a rehearsal; it must leave no container."""
    assert image
    with rehearsing("--engine", "docker") as found:
        yield found
        owner = f":{found.process.pid}:"
    client = docker.from_env()
    left = client.containers.list(all=True, filters={"label": "rehearse.owner"})
    assert [each for each in left if owner in each.labels["rehearse.owner"]] == []
    client.close()


def algorithm(image: str, **changes: Any) -> dict[str, Any]:
    return {"TrainingImage": image, "ContainerEntrypoint": [], **changes}


def test_an_image_trains(in_docker: Rehearsal, image: str) -> None:
    in_docker.put("in/deep/one.jsonl", b"1", "jobs")
    in_docker.put("kept/step-1", b"one", "jobs")
    name = start(
        in_docker,
        AlgorithmSpecification=algorithm(image),
        HyperParameters={"say": "loss=0.5"},
        Environment={"MINE": "yes"},
        InputDataConfig=[channel("train", "s3://jobs/in/")],
        CheckpointConfig={"S3Uri": "s3://jobs/kept"},
        EnableNetworkIsolation=True,
    )
    job = ended(in_docker, name)
    assert job.get("FailureReason") is None
    url = job["ModelArtifacts"]["S3ModelArtifacts"]
    told = json.loads(files(in_docker, url)["told.json"])
    assert told["files"] == {"input/data/train/deep/one.jsonl": "1", "checkpoints/step-1": "one"}
    assert told["environment"]["TRAINING_JOB_NAME"] == name
    assert (told["environment"]["MINE"], told["environment"]["HOSTNAME"]) == ("yes", "algo-1")
    assert told["interfaces"] == ["lo"]
    assert files(in_docker, url.replace("model.tar", "output.tar")) == {"report.txt": b"well"}
    step = in_docker.client("s3").get_object(Bucket="jobs", Key="kept/step-2")
    assert step["Body"].read() == b"two"
    assert lines(in_docker, name) == ["loss=0.5"]


def test_a_job_may_name_its_own_command(in_docker: Rehearsal, image: str) -> None:
    command = {"ContainerEntrypoint": ["python3"]}
    command |= {"ContainerArguments": ["/opt/venv/bin/train", "--fast"]}
    name = start(in_docker, AlgorithmSpecification=algorithm(image, **command))
    job = ended(in_docker, name)
    assert job.get("FailureReason") is None
    told = json.loads(files(in_docker, job["ModelArtifacts"]["S3ModelArtifacts"])["told.json"])
    assert told["arguments"] == ["--fast"]
    assert "eth0" in told["interfaces"]


def test_a_container_is_stopped_and_leaves_its_model(in_docker: Rehearsal, image: str) -> None:
    name = holding(in_docker, AlgorithmSpecification=algorithm(image))
    in_docker.client("sagemaker").stop_training_job(TrainingJobName=name)
    job = ended(in_docker, name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert files(in_docker, job["ModelArtifacts"]["S3ModelArtifacts"]) == {"best": b"so far"}


def test_a_container_that_fails_says_why(in_docker: Rehearsal, image: str) -> None:
    given = {"do": "fail", "why": "no text"}
    name = start(in_docker, AlgorithmSpecification=algorithm(image), HyperParameters=given)
    assert ended(in_docker, name)["FailureReason"] == "AlgorithmError: no text, exit code: 3"


def test_an_image_that_is_not_there_fails_the_job(in_docker: Rehearsal) -> None:
    name = start(in_docker, AlgorithmSpecification=algorithm("no-such-image:1"))
    assert "there is no image no-such-image:1 here" in ended(in_docker, name)["FailureReason"]


def test_a_container_ends_with_the_rehearsal(image: str) -> None:
    with rehearsing("--engine", "docker") as rehearsal:
        stubborn = {"STUBBORN": "1"}
        holding(rehearsal, AlgorithmSpecification=algorithm(image), Environment=stubborn)
        owner = f":{rehearsal.process.pid}:"
    client = docker.from_env()
    left = client.containers.list(all=True, filters={"label": "rehearse.owner"})
    assert [each for each in left if owner in each.labels["rehearse.owner"]] == []
    client.close()
