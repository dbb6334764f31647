"""A rehearsal, and the scripts of deploy/ as a user runs them against it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.rehearse.desk import Rehearsal, rehearsing

VENVS = ROOT / ".venv" / "deploy"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-serverless-sentiment:0.1.0-slim"


@dataclass(frozen=True)
class Account:
    """An account in a rehearsal."""

    desk: Rehearsal
    environment: Mapping[str, str]

    def start(self, *command: str, stdin: int | None = None) -> subprocess.Popen[str]:
        """A command of a user who has exported what the rehearsal prints."""
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(self.environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, *arguments: str, python: str = sys.executable) -> str:
        """What a script prints, if it ends well."""
        return output(self.start(python, f"deploy/{script}", *arguments))

    def role(self) -> str:
        """The execution role; a rehearsal has nothing to wait for."""
        return self.run("role.py", "--wait", "0").strip()

    def package(self, *arguments: str) -> str:
        """A version in the model registry."""
        return self.run("registry.py", "--image", IMAGE, *arguments).strip()

    def left(self) -> list[Any]:
        """What would cost something, or be in the way of a next time."""
        sagemaker, cloudwatch = self.desk.client("sagemaker"), self.desk.client("cloudwatch")
        scaling = self.desk.client("application-autoscaling")
        return [
            *sagemaker.list_endpoints()["Endpoints"],
            *sagemaker.list_endpoint_configs()["EndpointConfigs"],
            *sagemaker.list_models()["Models"],
            *sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"],
            *sagemaker.list_model_packages()["ModelPackageSummaryList"],
            *cloudwatch.describe_alarms()["MetricAlarms"],
            *scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"],
        ]


def output(process: subprocess.Popen[str], text: str | None = None) -> str:
    """What a process has printed, once it has ended well."""
    out, err = process.communicate(text, timeout=300)
    assert process.returncode == 0, err
    return out


def program(venv: str, name: str) -> str:
    """A program of one of the environments of `make deploy-venvs`, or the test is skipped."""
    if not (VENVS / venv / "installed").exists():
        pytest.skip(f"there is no {VENVS / venv}; `make deploy-venvs` makes it")
    return str(VENVS / venv / "bin" / name)


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One for the tests of a module."""
    with rehearsing() as desk:
        yield Account(
            desk,
            {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path_factory.mktemp("home")),
                # SDK 3 otherwise reports its use to AWS.
                "TELEMETRY_OPT_OUT": "true",
                **desk.ready["environment"],
            },
        )


@pytest.fixture
def account(rehearsal: Account) -> Iterator[Account]:
    """An account that is empty, and must be so again."""
    assert rehearsal.left() == []
    yield rehearsal
    assert rehearsal.left() == []


@pytest.fixture
def aws() -> str:
    """A PATH on which `aws` is found: that of `make deploy-venvs`, or whatever is installed."""
    if (VENVS / "cli" / "installed").exists() or not shutil.which("aws"):
        return f"{Path(program('cli', 'aws')).parent}:{os.environ['PATH']}"
    return os.environ["PATH"]
