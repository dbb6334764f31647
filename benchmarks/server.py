"""A model directory and a CPU in, a running `serve` on that CPU out, with what it costs."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HEADERS = {"Content-Type": "application/jsonlines"}
START_SECONDS = 120.0
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes (10^6 bytes) of all processes of a server.

    `peak_rss` adds up each process's highest resident size (VmHWM), so pages that two processes
    share count twice; `pss` divides those pages among them, but is the size of now.
    """

    peak_rss: float
    pss: float


@dataclass
class Server:
    """A running server: its process, a keep-alive connection to it, and its cold start."""

    process: subprocess.Popen[bytes]
    port: int
    started: float  # time.perf_counter() just before exec
    cold_start: float = 0.0  # seconds from exec to the first correct prediction
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def predict(self, body: bytes) -> dict[str, float]:
        """The prediction for a body of one record."""
        self.connection.request("POST", "/invocations", body, HEADERS)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"the server answered {response.status}: {answer!r}")
        prediction: dict[str, float] = json.loads(answer)
        return prediction

    def memory(self) -> Memory:
        """Memory of the server and of its children."""
        folders = [Path("/proc") / str(process) for process in _tree(self.process.pid)]
        peak = sum(_kilobytes(folder / "status", "VmHWM") for folder in folders)
        pss = sum(_kilobytes(folder / "smaps_rollup", "Pss") for folder in folders)
        return Memory(peak * 1024 / 1e6, pss * 1024 / 1e6)

    def wait(self, body: bytes) -> dict[str, float]:
        """Ask until the server answers; the first prediction ends the cold start."""
        while time.perf_counter() - self.started < START_SECONDS:
            if self.process.poll() is not None:
                raise RuntimeError(f"serve ended with {self.process.returncode}")
            try:
                prediction = self.predict(body)
            except ConnectionError:  # the port is not open yet
                self.connection.close()
                time.sleep(0.002)
            else:
                self.cold_start = time.perf_counter() - self.started
                return prediction
        raise RuntimeError(f"no answer within {START_SECONDS:.0f} seconds")


@contextmanager
def serving(model: Path, cpu: int) -> Iterator[Server]:
    """Start `serve` on one CPU, with this process on another if there is one; always stop it."""
    port = _free_port()
    environment = os.environ | {
        "MODEL_DIR": str(model),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "LOG_LEVEL": "warning",
    }
    mine = os.sched_getaffinity(0)
    # A child starts with its parent's mask: no wrapper between exec and `serve`.
    os.sched_setaffinity(0, {cpu})
    try:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "serve"], env=environment)
    finally:
        os.sched_setaffinity(0, (mine - {cpu}) or mine)
    server = Server(process, port, started)
    try:
        yield server
    finally:
        os.sched_setaffinity(0, mine)
        server.connection.close()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tree(process: int) -> list[int]:
    """A process and all below it."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [process, *(found for child in text.split() for found in _tree(int(child)))]


def _kilobytes(path: Path, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    if match is None:
        raise RuntimeError(f"{path} has no {name}")
    return int(match[1])
