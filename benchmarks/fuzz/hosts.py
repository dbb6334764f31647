"""An image or none in, a server to send odd bodies to out, with its memory and its log."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.fuzz.cases import SECRET
from benchmarks.harness import containers, servers
from benchmarks.harness.client import body
from benchmarks.harness.servers import ROOT

MODEL = ROOT / "models" / "clothing-sentiment"
MEMORY = 1024
TROUBLE = (b"Traceback", b"internal error", b"[ERROR]", b"[CRITICAL]", b'"status": 5')


class Host(Protocol):
    """A running server."""

    @property
    def port(self) -> int:
        """Its port on this machine."""
        ...

    def memory(self) -> float:
        """MB that its processes hold and that no file backs."""
        ...

    def log(self) -> Iterable[bytes]:
        """Everything it has logged, by lines."""
        ...


@dataclass
class Log:
    """What a log tells: workers that were started, cases that it quotes, lines of trouble."""

    workers: int = 0
    quoted: set[int] = field(default_factory=set)
    trouble: list[str] = field(default_factory=list)


def read(lines: Iterable[bytes]) -> Log:
    """Read a log."""
    found = Log()
    quotes = re.compile(SECRET.encode() + rb"(\d+)")
    for line in lines:
        found.workers += b"Booting worker" in line
        found.quoted |= {int(match) for match in quotes.findall(line)}
        if any(words in line for words in TROUBLE):
            found.trouble.append(line.decode(errors="replace").strip())
    return found


@dataclass
class InContainer:
    """A server in a container."""

    running: containers.Running

    @property
    def port(self) -> int:
        """Its port on this machine."""
        return self.running.port

    def memory(self) -> float:
        """As its cgroup counts it: https://docs.kernel.org/admin-guide/cgroup-v2.html"""
        found = self.running.container.stats(stream=False, one_shot=True)
        assert isinstance(found, dict)  # an iterator only of a stream
        counts = found["memory_stats"]["stats"]
        return float(counts.get("anon", counts.get("total_rss"))) / 1e6

    def log(self) -> Iterable[bytes]:
        """Both streams; the engine gives a line at a time."""
        lines: Iterable[bytes] = self.running.container.logs(stream=True, follow=False)
        return lines


@dataclass
class AsProcess:
    """A server on this machine."""

    server: servers.Server
    path: Path

    @property
    def port(self) -> int:
        """Its port."""
        return self.server.port

    def memory(self) -> float:
        """RssAnon of all its processes: https://docs.kernel.org/filesystems/proc.html"""
        return self.server.anonymous()

    def log(self) -> Iterable[bytes]:
        """Both streams."""
        return self.path.read_bytes().splitlines()


@contextmanager
def container(image: str, cpus: float) -> Iterator[InContainer]:
    """A server of an image, under all restrictions of the platform."""
    setup = containers.Setup(("serve",), {})
    with containers.running(image, setup, MEMORY, cpus=cpus) as running:
        running.wait(body("good"))
        yield InContainer(running)


@contextmanager
def process() -> Iterator[AsProcess]:
    """A server of this source."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        launch = servers.ours(MODEL, LOG_LEVEL="info")
        with (
            path.open("wb") as log,
            servers.running(launch, os.sched_getaffinity(0), log, log) as running,
        ):
            running.wait(body("good"))
            yield AsProcess(running, path)
