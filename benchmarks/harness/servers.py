"""Start servers on chosen CPUs of this machine, and read what they take."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.harness import cpu_kind
from benchmarks.harness.client import Client

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ROOT / "benchmarks" / "compare" / "plain_container"
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Launch:
    """How a server is started; {port} in its command and environment becomes the port."""

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]


def ours(model: Path, module: str = "serve", **environment: str) -> Launch:
    """Return this project's server, as the console script starts it."""
    own = {"MODEL_DIR": str(model), "SAGEMAKER_BIND_TO_PORT": "{port}", "LOG_LEVEL": "warning"}
    # The heap as the image sets it up, before a process can.
    image = (ROOT / "Dockerfile").read_text()
    own |= re.findall(r"\b(MALLOC_ARENA_MAX|GLIBC_TUNABLES)=(\S+)", image)
    # From the second start on there is byte code, as there is in the image.
    own["PYTHONDONTWRITEBYTECODE"] = ""
    return Launch((sys.executable, "-m", module), ROOT, own | environment)


def plain(model: Path, *options: str, **environment: str) -> Launch:
    """Return the plain container's server; see benchmarks/compare/plain_container/README.md."""
    command = (sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--timeout", "60")
    # As an image would set it: the hub is not asked for a model that lies on the disk.
    own = {"MODEL_DIR": str(model), "HF_HUB_OFFLINE": "1"}
    return Launch(
        (*command, "--log-level", "warning", *options, "app:app"), PLAIN, own | environment
    )


@dataclass
class Server:
    """A running server and a client of it."""

    process: subprocess.Popen[bytes]
    port: int
    started: float  # time.perf_counter() just before exec
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.port)

    def wait(self, body: bytes) -> list[dict[str, Any]]:
        """Ask until the server answers, and return its first predictions."""
        return self.client.wait(body, lambda: self.process.poll() is None)

    def peak_rss(self) -> float:
        """Return MB, the highest of each process (VmHWM), so that shared pages count twice."""
        return self._sum("status", r"^VmHWM:\s+(\d+) kB") * 1024 / 1e6

    def rss(self) -> float:
        """Return MB resident now; pages that processes share count in each of them."""
        return self._sum("smaps_rollup", r"^Rss:\s+(\d+) kB") * 1024 / 1e6

    def pss(self) -> float:
        """Return MB resident now; pages that processes share are divided among them."""
        return self._sum("smaps_rollup", r"^Pss:\s+(\d+) kB") * 1024 / 1e6

    def anonymous(self) -> float:
        """Return MB resident now that no file backs."""
        return self._sum("status", r"^RssAnon:\s+(\d+) kB") * 1024 / 1e6

    def io(self, name: str) -> int:
        """Return a counter of /proc/PID/io.

        https://docs.kernel.org/filesystems/proc.html
        """
        return self._sum("io", rf"^{name}: (\d+)$")

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes until now, their ended threads included.

        https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html
        """
        libc = ctypes.CDLL(None, use_errno=True)
        clock = ctypes.c_int()
        total = 0.0
        for process in tree(self.process.pid):
            failed = libc.clock_getcpuclockid(process, ctypes.byref(clock))
            if failed:
                raise OSError(failed, os.strerror(failed))
            total += time.clock_gettime(clock.value)
        return total

    def _sum(self, file: str, pattern: str) -> int:
        total = 0
        for process in tree(self.process.pid):
            path = Path("/proc") / str(process) / file
            match = re.search(pattern, path.read_text(), re.MULTILINE)
            if match is None:
                raise RuntimeError(f"{path} does not match {pattern}")
            total += int(match[1])
        return total


@contextmanager
def running(
    launch: Launch,
    cpus: set[int],
    log: IO[bytes] | None = None,
    output: int | IO[bytes] | None = None,
) -> Iterator[Server]:
    """Start a server on some CPUs, with this thread on the others if any; always stop it.

    Its log (stderr) goes to ours if not to a file; its stdout to `output`, as subprocess takes it.
    """
    port = free_port()
    own = {name: value.format(port=port) for name, value in launch.environment.items()}
    environment = os.environ | own
    if cpu_kind.hidden():
        environment = cpu_kind.environment(environment, cpu_kind.MASK)
    command = [part.format(port=port) for part in launch.command]
    with pinned(cpus) as others:
        # A child starts with its parent's mask: no wrapper between exec and the server.
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=launch.folder, env=environment, stderr=log, stdout=output
        )
        os.sched_setaffinity(0, others)
        server = Server(process, port, started)
        try:
            yield server
        finally:
            server.client.close()
            stop(process)


@contextmanager
def pinned(cpus: set[int]) -> Iterator[set[int]]:
    """Keep this thread, and what it starts meanwhile, on some CPUs; give the others, or all."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield (mine - cpus) or mine
    finally:
        os.sched_setaffinity(0, mine)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: ask first, and kill it after STOP_SECONDS."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(process: int) -> list[int]:
    """Return a process and all below it; children hang from the thread that started them."""
    found = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found
