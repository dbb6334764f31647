"""A running server and a count of its requests in, memory by requests, and its slope, out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from benchmarks.harness.servers import Server


@dataclass(frozen=True)
class Sample:
    """Megabytes of all processes of a server, after so many requests."""

    requests: int
    rss: float  # pages that processes share count in each of them
    anonymous: float  # the same, without pages of files


@contextmanager
def sampling(
    running: Server, requests: Callable[[], int], seconds: float
) -> Iterator[list[Sample]]:
    """Take a sample now, every so many seconds, and at the end."""
    samples: list[Sample] = []
    over = threading.Event()

    def sample() -> None:
        with suppress(OSError):  # a thread or a process ended while it was read
            samples.append(Sample(requests(), running.rss(), running.anonymous()))

    def sample_until_over() -> None:
        while not over.wait(seconds):
            sample()

    sample()
    thread = threading.Thread(target=sample_until_over)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
        sample()
