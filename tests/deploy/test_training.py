"""Both SDKs train a tiny model in the rehearsal, and SDK 2 deploys what its job has made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.deploy.conftest import IMAGE, Account, output, program
from tests.training.test_train import json_lines, rows

# What a notebook would do, from the role to an answer.
NOTEBOOK = ROOT / "tests" / "deploy" / "fit_and_deploy.py"


@pytest.fixture(scope="module")
def given(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return a file of examples, the folder of a checkpoint, the name of an image."""
    data = tmp_path_factory.mktemp("data") / "train.jsonl"
    json_lines(data, rows(32, 1))
    return [str(data), str(checkpoint), IMAGE]


@pytest.fixture(scope="module")
def told(module_account: Account, given: list[str]) -> Iterator[dict[str, Any]]:
    """Run the notebook, and return what it tells as JSON and all that it prints."""
    python = program("sdk_v2", "python")
    out = output(module_account.start(python, str(NOTEBOOK), *given))
    *printed, last = out.strip().splitlines()
    yield {**json.loads(last), "printed": "\n".join(printed)}
    module_account.run("delete.py", "fitted", "--yes")


def test_fit_streams_the_log_and_deploy_answers(told: dict[str, Any]) -> None:
    assert told["role"].endswith("role/service-role/AmazonSageMaker-ExecutionRole-rehearsal")
    assert told["model_data"] == f"s3://{told['bucket']}/{told['job']}/output/model.tar.gz"
    assert "32 examples with the labels -1, 1" in told["printed"]
    assert "Training job completed" in told["printed"]
    assert [each["predicted_label"] in (-1, 1) for each in told["answers"]] == [True] * 2


def test_the_analytics_of_a_job_have_its_metrics(told: dict[str, Any]) -> None:
    assert set(told["metrics"]) == {"validation:macro_f1", "validation:accuracy"}


def test_a_job_that_has_been_trained_is_attached(
    told: dict[str, Any], module_account: Account
) -> None:
    python = program("sdk_v2", "python")
    arguments = ["--role", told["role"], "--image", IMAGE, "--training-job", told["job"]]
    out = module_account.run("sdk_v2.py", *arguments, python=python)
    model = module_account.rehearsal.client("sagemaker").describe_model(ModelName="sentiment")
    assert model["PrimaryContainer"]["ModelDataUrl"] == told["model_data"]
    assert out.count("predicted_label") == 3
    module_account.run("delete.py", "sentiment", "--yes")


def test_sdk_3_trains(module_account: Account, given: list[str]) -> None:
    script = str(NOTEBOOK.with_name("train_with_sdk_v3.py"))
    output(module_account.start(program("sdk_v3", "python"), script, *given))
    (job,) = module_account.rehearsal.client("sagemaker").list_training_jobs(
        NameContains="with-sdk-3"
    )["TrainingJobSummaries"]
    assert job["TrainingJobStatus"] == "Completed"
