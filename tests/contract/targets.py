"""Start the three targets of the contract: in process, behind a real gunicorn, in the image."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import psutil
import requests
from werkzeug.test import Client

from platform_facts import CALL_SECONDS, MODEL_DIR, PORT, sandbox
from serve import create_app
from serve.settings import Settings

# The client, as build.sh chooses it.
DOCKER = os.environ.get("DOCKER", "docker")
MEMORY_MB = 1024
SERVE = "from serve.__main__ import main; main()"


@dataclass(frozen=True)
class Answer:
    """Status, lower-case headers and body of a response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Target(Protocol):
    """Something that answers requests."""

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer: ...


class InProcess:
    """The application, without a server."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._client: Client = create_app(Settings.from_environment(environment)).test_client()

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        found = self._client.open(path, method=method, data=body, headers=dict(headers or {}))
        fields = {name.lower(): value for name, value in found.headers.items()}
        return Answer(found.status_code, fields, found.data)


@dataclass(frozen=True)
class OverHttp:
    """A server that listens on a port of this machine."""

    port: int

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        found = requests.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            data=body,
            headers=dict(headers or {}),
            timeout=CALL_SECONDS,
        )
        fields = {name.lower(): value for name, value in found.headers.items()}
        return Answer(found.status_code, fields, found.content)

    def wait(self, alive: subprocess.Popen[bytes] | None = None) -> None:
        """Wait until pings are answered; fails when the process ends or 60 seconds pass."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.request("GET", "/ping")
            except requests.ConnectionError:
                assert alive is None or alive.poll() is None, "the server has ended"
                time.sleep(0.05)
            else:
                return
        raise TimeoutError("no ping was answered in 60 seconds")


@dataclass(frozen=True)
class Frozen:
    """A server that runs while it is asked, and stands still between requests."""

    server: OverHttp
    freeze: Callable[[], object]
    thaw: Callable[[], object]

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        self.thaw()
        try:
            return self.server.request(method, path, body, headers)
        finally:
            self.freeze()


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Let neither a server nor its worker run, and return when they have stopped."""
    family = _family(process)
    for each in family:
        each.send_signal(signal.SIGSTOP)
    while any(each.status() != psutil.STATUS_STOPPED for each in family):
        time.sleep(0.001)


def thaw(process: subprocess.Popen[bytes]) -> None:
    """Let them run again."""
    for each in _family(process):
        each.send_signal(signal.SIGCONT)


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    first = psutil.Process(process.pid)
    return [first, *first.children(recursive=True)]


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def gunicorn(
    environment: Mapping[str, str],
    log: IO[bytes] | None = None,
    output: IO[bytes] | int | None = None,
    program: str = SERVE,
) -> Iterator[tuple[OverHttp, subprocess.Popen[bytes]]]:
    """Run a real server, by a Python program that does what the console script does.

    What it writes goes to ours, or to `log`, and its stdout to `output` if that is given.
    """
    target = OverHttp(free_port())
    own = {"SAGEMAKER_BIND_TO_PORT": str(target.port), **environment}
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, env={**os.environ, **own}, stdout=output or log, stderr=log)
    try:
        yield target, process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def image(
    tag: str,
    environment: Mapping[str, str],
    model: Path | None = None,
    *options: str,
    memory_mb: int = MEMORY_MB,
) -> Iterator[tuple[OverHttp, str]]:
    """Run a container as serverless does, with a model mounted as the platform mounts it."""
    target = OverHttp(free_port())
    rights = sandbox.arguments(memory_mb, os.cpu_count() or 1)
    mount = ["--volume", f"{model}:{MODEL_DIR}:ro"] if model else []
    variables = [part for item in environment.items() for part in ("--env", "=".join(item))]
    port = ["--publish", f"127.0.0.1:{target.port}:{PORT}"]
    command = [DOCKER, "run", "--detach", *rights, *port, *mount, *variables, *options, tag]
    started = subprocess.run([*command, "serve"], capture_output=True, text=True, check=True)
    container = started.stdout.strip()
    try:
        yield target, container
    finally:
        subprocess.run([DOCKER, "rm", "--force", container], capture_output=True, check=True)
