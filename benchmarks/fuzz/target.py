"""Start the server that odd bodies are sent to, as a process or in a container."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.harness import containers, servers
from benchmarks.harness.client import body
from benchmarks.harness.subjects import DEFAULT_MODEL

MEMORY_MB = 1024


@dataclass(frozen=True)
class Target:
    """A running server: its port, and how to read its memory and its log."""

    port: int
    memory: Callable[[], float]  # MB that its processes hold and that no file backs
    log: Callable[[], Iterable[bytes]]  # the lines that it has written


@contextmanager
def container(image: str, cpus: float) -> Iterator[Target]:
    """Run an image with the model that it brings, restricted as the platform restricts it."""
    setup = containers.Setup(("serve",), {})
    with containers.running(image, setup, MEMORY_MB, cpus=cpus) as running:

        def memory() -> float:
            # As its cgroup counts it: https://docs.kernel.org/admin-guide/cgroup-v2.html
            found = running.container.stats(stream=False, one_shot=True)
            assert isinstance(found, dict)  # an iterator only of a stream
            counts = found["memory_stats"]["stats"]
            return float(counts.get("anon", counts.get("total_rss"))) / 1e6

        running.wait(body("good"))
        yield Target(
            running.port, memory, partial(running.container.logs, stream=True, follow=False)
        )


@contextmanager
def process() -> Iterator[Target]:
    """Run the server of this source tree with the bundled model."""
    launch = servers.ours(DEFAULT_MODEL, LOG_LEVEL="info")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        with (
            path.open("wb") as log,
            servers.running(launch, os.sched_getaffinity(0), log, log) as running,
        ):
            running.wait(body("good"))
            yield Target(running.port, running.anonymous, lambda: path.read_bytes().splitlines())
