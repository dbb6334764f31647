"""Run the scripts of deploy/ as a user does, in the AWS account of a rehearsal."""

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
from tests.rehearse.rehearsal import Rehearsal, rehearsing

VENVS = ROOT / ".venv" / "deploy"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-serverless-sentiment:0.1.0-slim"


@dataclass(frozen=True)
class Account:
    """The AWS account of a rehearsal, and the variables that a user exports for it."""

    rehearsal: Rehearsal
    environment: Mapping[str, str]

    def start(self, *command: str, stdin: int | None = None) -> subprocess.Popen[str]:
        """Start a command with these variables."""
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
        """Run a script and return what it prints; it must exit with 0."""
        return output(self.start(python, f"deploy/{script}", *arguments))

    def role(self) -> str:
        """Make the execution role; in a rehearsal nothing has to be waited for."""
        return self.run("role.py", "--wait", "0").strip()

    def package(self, *arguments: str) -> str:
        """Register a version in the model registry."""
        return self.run("registry.py", "--image", IMAGE, *arguments).strip()

    def left(self) -> list[Any]:
        """Return all that would cost something, or be in the way of the next test."""
        sagemaker, cloudwatch = (
            self.rehearsal.client("sagemaker"),
            self.rehearsal.client("cloudwatch"),
        )
        scaling = self.rehearsal.client("application-autoscaling")
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
    """Return what a process has printed; it must exit with 0."""
    out, err = process.communicate(text, timeout=300)
    assert process.returncode == 0, err
    return out


def program(venv: str, name: str) -> str:
    """Return a program of an environment of `make deploy-venvs`, or skip the test."""
    found = VENVS / venv / "bin" / name
    if not (VENVS / venv / "installed").exists() or not found.exists():
        pytest.skip(f"there is no {found}; `make deploy-venvs` makes it")
    return str(found)


@pytest.fixture(scope="module")
def module_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Give the tests of a module one account."""
    with rehearsing() as rehearsal:
        yield Account(
            rehearsal,
            {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path_factory.mktemp("home")),
                # sitecustomize.py, which Python imports at each start.
                "PYTHONPATH": str(Path(__file__).with_name("impatient")),
                # SDK 3 otherwise reports its use to AWS.
                "TELEMETRY_OPT_OUT": "true",
                **rehearsal.ready["environment"],
            },
        )


@pytest.fixture
def account(module_account: Account) -> Iterator[Account]:
    """Give an empty account, and check that a test leaves it empty."""
    assert module_account.left() == []
    yield module_account
    assert module_account.left() == []


@pytest.fixture
def aws() -> str:
    """Return a PATH that has `aws`: the one of `make deploy-venvs`, else the installed one."""
    if (VENVS / "cli" / "installed").exists() or not shutil.which("aws"):
        return f"{Path(program('cli', 'aws')).parent}:{os.environ['PATH']}"
    return os.environ["PATH"]
