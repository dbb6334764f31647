"""Test what only the image shows."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from platform_facts import sandbox
from tests.conftest import BLOG, ROOT, lines
from tests.contract import targets


def docker(*arguments: str) -> str:
    return subprocess.run(
        [targets.DOCKER, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_the_model_in_the_image_is_served_to_any_user(slim: str) -> None:
    for user in ("0:0", sandbox.USER, "12345:6"):
        with targets.image(slim, {}, None, "--user", user) as (server, _):
            server.wait()
            answer = server.request("POST", "/invocations", BLOG)
            assert [line["predicted_label"] for line in lines(answer.body)] == [1, 0, -1]


def test_docker_stop_ends_it_in_order(slim: str) -> None:
    with targets.image(slim, {}) as (server, container):
        server.wait()
        start = time.monotonic()
        docker("stop", "--time", "25", container)
        assert time.monotonic() - start < 20
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container).strip() == "0"


def test_a_plain_checkpoint_is_served_by_the_full_image(full: str, checkpoint: Path) -> None:
    with targets.image(full, {}, checkpoint, memory_mb=2048) as (server, _):
        server.wait()
        answer = server.request("POST", "/invocations", BLOG)
        assert len(lines(answer.body)) == 3


def test_the_slim_image_says_what_a_plain_checkpoint_needs(slim: str, checkpoint: Path) -> None:
    with targets.image(slim, {}, checkpoint) as (server, _):
        server.wait()
        answer = server.request("POST", "/invocations", BLOG)
        assert answer.status == 503
        assert "use the full image" in json.loads(answer.body)["error"]


def test_its_labels_and_its_byte_code(slim: str) -> None:
    labels = json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", slim))
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert labels["org.opencontainers.image.version"]
    code = (
        "import sys, pathlib, importlib.util as u;"
        "import serve.server, serve.app, gunicorn.workers.gthread;"
        "from model_handler import Handler, artifacts;"
        "Handler(artifacts.default_dir()).predict(['all that a prediction imports']);"
        "print(*[m.__file__ for m in sys.modules.values()"
        " if (getattr(m, '__file__', None) or '').endswith('.py')"
        " and not pathlib.Path(u.cache_from_source(m.__file__)).exists()])"
    )
    found = docker("run", "--rm", "--entrypoint", "python3", slim, "-c", code)
    assert found.strip() == ""


def test_a_training_job_of_two_steps_leaves_a_checkpoint(train: str) -> None:
    subprocess.run(
        [str(ROOT / "build.sh"), "smoke", "--target", "train", "--tag", train], check=True
    )


def test_a_training_job_without_data_fails_with_the_reason(train: str, tmp_path: Path) -> None:
    user = f"{os.getuid()}:{os.getgid()}"
    found = subprocess.run(
        [targets.DOCKER, "run", "--rm", "--user", user, "--volume", f"{tmp_path}:/opt/ml", train],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    reason = (tmp_path / "output" / "failure").read_text()
    assert found.stderr == f"train: {reason}\n"
    assert "there is no channel train" in reason
