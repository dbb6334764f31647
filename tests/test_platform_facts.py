"""Compare facts of the platform that stand elsewhere too, as not all can import platform_facts."""

from __future__ import annotations

import re
import subprocess

from deploy import boto3_blog, update
from platform_facts import MEMORY_SIZES_MB, MODEL_DIR, PORT, sandbox
from tests.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_smoke_runs_the_image_in_the_sandbox_of_a_serverless_endpoint() -> None:
    (array,) = re.findall(
        r"^readonly (SANDBOX=\(.*?\))$", (ROOT / "build.sh").read_text(), re.M | re.S
    )
    script = f'{array}; printf "%s\\n" "${{SANDBOX[@]}}"'
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == sandbox.arguments(MEMORY_SIZES_MB[0], most_cpus=1.0)


def test_every_way_to_deploy_takes_the_memory_sizes() -> None:
    """Scripts that are copied without this repository have a list of their own."""
    template = (ROOT / "deploy" / "cloudformation.yaml").read_text()
    assert f"Default: 1024\n    AllowedValues: {list(MEMORY_SIZES_MB)}" in template
    for script in (boto3_blog, update):
        assert tuple(script.MEMORY_SIZES_MB) == MEMORY_SIZES_MB


def test_the_image_has_the_port_and_the_place_of_the_model() -> None:
    assert f"EXPOSE {PORT}\n" in DOCKERFILE
    assert f"/models/clothing-sentiment /image{MODEL_DIR} " in DOCKERFILE
