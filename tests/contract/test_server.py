"""Test what only a real server shows: start, stop, settings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from platform_facts import MEGABYTE
from tests.conftest import BLOG, BUNDLED, lines
from tests.contract import targets
from tests.contract.test_stop import children

MODEL = {"MODEL_DIR": str(BUNDLED)}


def test_a_request_in_flight_is_answered_when_the_server_is_stopped() -> None:
    body = b"".join(b'{"features": ["number %d did not fit me at all"]}\n' % n for n in range(1800))
    answers: list[targets.Answer] = []
    with targets.gunicorn(MODEL) as (server, process):
        server.wait(process)
        server.request("POST", "/invocations", BLOG)
        client = threading.Thread(
            target=lambda: answers.append(server.request("POST", "/invocations", body))
        )
        client.start()
        time.sleep(0.5)  # long enough for the request to be in, short enough for it not to be out
        assert not answers
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 0
        client.join(25)
    assert len(lines(answers[0].body)) == 1800


@pytest.mark.parametrize("load", ["background", "lazy", "eager"])
def test_each_way_to_load_answers_the_first_request(load: str) -> None:
    with targets.gunicorn({**MODEL, "MODEL_LOAD": load}) as (server, process):
        server.wait(process)
        assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    with targets.gunicorn({"MODEL_DIR": str(tmp_path)}) as (server, process):
        server.wait(process)
        answer = server.request("POST", "/invocations", BLOG)
        assert answer.status == 503
        assert b"holds no model" in answer.body


def test_an_eager_model_that_cannot_be_loaded_ends_the_server(tmp_path: Path) -> None:
    settings = {"MODEL_DIR": str(tmp_path), "MODEL_LOAD": "eager"}
    with targets.gunicorn(settings) as (_, process):
        assert process.wait(20) != 0


def test_a_setting_that_cannot_be_used_is_one_line_and_exit_code_2() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "serve"],
        env={**os.environ, "SAGEMAKER_BIND_TO_PORT": "http"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("serve: SAGEMAKER_BIND_TO_PORT is 'http'")


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [("--help", 0, "environment variables"), ("now", 2, "unrecognized arguments: now")],
)
def test_serve_takes_no_arguments_and_says_so(argument: str, code: int, said: str) -> None:
    command = [sys.executable, "-m", "serve", argument]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == code
    assert said in " ".join((found.stdout + found.stderr).split())


BROKEN = f"""
from flask import Flask
def broken(self, environ, start_response):
    raise RuntimeError("a secret of " + environ["PATH_INFO"])
Flask.wsgi_app = broken
{targets.SERVE}
"""


def test_a_fault_outside_the_application_is_500_without_internals_and_one_line_in_the_log(
    tmp_path: Path,
) -> None:
    with (
        (tmp_path / "log").open("wb") as log,
        targets.gunicorn(MODEL, log, program=BROKEN) as (server, process),
    ):
        server.wait(process)
        answer = server.request("POST", "/invocations", BLOG)
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body)["code"] == "internal_error"
    said = (tmp_path / "log").read_text()
    assert "internal error: RuntimeError" in said
    assert "secret" not in said + answer.body.decode()


def test_a_packed_model_is_served_without_torch_or_transformers() -> None:
    code = (
        "import sys; from serve import create_app; client = create_app().test_client();"
        "assert client.post('/invocations', data=b'{\"text\": \"fine\"}').status_code == 200;"
        "print([name for name in ('torch', 'transformers', 'onnx') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.endswith("\n[]\n")


def test_a_server_leaves_nothing_in_the_home_directory(tmp_path: Path) -> None:
    """Some versions of onnxruntime keep a database there, of what they tell their maker."""
    with targets.gunicorn({**MODEL, "HOME": str(tmp_path)}) as (server, process):
        server.wait(process)
        assert server.request("POST", "/invocations", BLOG).status == 200
    assert list(tmp_path.rglob("*")) == []


def test_what_is_wrong_with_weights_is_said_even_if_the_server_is_stopped_at_once(
    tmp_path: Path, packed: Path
) -> None:
    directory = shutil.copytree(packed, tmp_path / "model")
    (weights,) = directory.glob("prepacked-*.bin")
    weights.write_bytes(bytes(weights.stat().st_size))
    with (
        (tmp_path / "log").open("wb") as log,
        targets.gunicorn({"MODEL_DIR": str(directory)}, log) as (server, process),
    ):
        server.wait(process)
        assert server.request("POST", "/invocations", BLOG).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 0
    assert "pre-packed weights are not used" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("setting", "heaps"), [({}, False), ({"MALLOC_ARENA_MAX": "8"}, True)])
def test_threads_share_one_heap_unless_the_environment_says_otherwise(
    setting: dict[str, str], heaps: bool
) -> None:
    environment = {**MODEL, **setting}
    with targets.gunicorn(environment) as (server, process), ThreadPoolExecutor(16) as pool:
        server.wait(process)
        asked = [pool.submit(server.request, "POST", "/invocations", BLOG) for _ in range(64)]
        assert {answer.result().status for answer in asked} == {200}
        (worker,) = children(process.pid)
        assert bool(second_heaps(worker)) is heaps


def second_heaps(process: int) -> list[str]:
    """Heaps of glibc beside the main one: where each begins is a multiple of 64 MB.

    https://sourceware.org/glibc/wiki/MallocInternals
    """
    found = []
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        addresses, permissions, *_, inode = line.split()[:5]
        begin = int(addresses.split("-")[0], 16)
        if inode == "0" and permissions == "rw-p" and begin % (64 * MEGABYTE) == 0:
            found.append(line)
    return found
