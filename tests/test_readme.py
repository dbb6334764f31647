"""Run the shell blocks of the README as they are, except for ports and folders."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.contract import targets
from tests.contract.conftest import build

README = (ROOT / "README.md").read_text()
CURLS = re.findall(r"```bash\n([^`]*?curl[^`]*)```\n\n```json\n([^`]*)```", README)


def shell(script: str, folder: Path = ROOT, **environment: str) -> str:
    """Run a block and return its output."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Give the port of a server that `make run` started."""
    server = targets.OverHttp(targets.free_port())
    process = subprocess.Popen(
        ["make", "run"],
        cwd=ROOT,
        env={**os.environ, "SAGEMAKER_BIND_TO_PORT": str(server.port)},
        start_new_session=True,
    )
    try:
        server.wait(process)
        yield server.port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def answers(text: str) -> list[dict[str, object]]:
    """Read JSON Lines; the last digits of probabilities may differ between kinds of CPU."""
    found = [json.loads(line) for line in text.splitlines()]
    for answer in found:
        if "probability" in answer:
            answer["probability"] = pytest.approx(answer["probability"], abs=0.02)
    return found


def test_the_readme_shows_both_a_good_and_a_bad_request() -> None:
    assert len(CURLS) == 2


@pytest.mark.parametrize(("script", "answer"), CURLS, ids=["good", "bad"])
def test_a_curl_line_gives_the_answer_beside_it(script: str, answer: str, port: int) -> None:
    found = shell(script.replace("8080", str(port)))
    assert [json.loads(line) for line in found.splitlines()] == answers(answer)


def test_your_own_model_in_one_command(tmp_path: Path, checkpoint: Path) -> None:
    (command,) = re.findall(r"```\n(pack-model [^`]*)```", README)
    (tmp_path / "my-checkpoint").symlink_to(checkpoint)
    shell(
        command.replace("pack-model", f"{sys.executable} -m compress.pack"),
        tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert {"my-model", "model.tar.gz"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("page", ["README.md", "docs/your-model.md"])
def test_torch_comes_from_the_index_of_cpu_builds(page: str) -> None:
    """Before anything that needs it: the default index has a build with several GB of CUDA."""
    (index,) = re.findall(r"^TORCH_INDEX \?= (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    blocks = re.findall(r"```(?:bash)?\n([^`]*pip install '[^`]*)```", (ROOT / page).read_text())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needing = {
        name
        for name, needed in extras["optional-dependencies"].items()
        if any(re.match(r"torch\b|.*\[.*torch", each) for each in needed)
    }
    found = 0
    for block in blocks:
        lines = block.splitlines()
        for place, line in enumerate(lines):
            if set(re.findall(r"\w+", line.partition("[")[2])) & needing:
                assert f"pip install torch --index-url {index}" in lines[:place]
                found += 1
    assert found == 1


def test_the_image_is_built_run_and_smoke_tested() -> None:
    build("slim")  # skips where there is no engine
    (script,) = re.findall(r"```bash\n([^`]*docker run[^`]*)```", README)
    server = targets.OverHttp(targets.free_port())
    name = f"readme-test-{server.port}"
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    try:
        assert '"predicted_label": -1' in shell(script.replace("sentiment -p", f"{name} -p"))
        server.wait()
    finally:
        remove = [targets.DOCKER, "rm", "--force", name]
        subprocess.run(remove, capture_output=True, check=False)


def test_a_push_without_credentials_stops_with_one_line() -> None:
    (command,) = re.findall(r"```\n(\./build\.sh push[^`]*)```", README)
    found = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode != 0
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("build.sh: ")


def test_its_json_blocks_are_valid() -> None:
    for block in re.findall(r"```json\n([^`]*)```", README):
        try:
            json.loads(block)
        except json.JSONDecodeError:
            assert all(json.loads(line) for line in block.splitlines())
