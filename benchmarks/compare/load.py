"""Put a server under the load of several clients, and count and time their answers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from benchmarks.harness.client import Client
from benchmarks.harness.statistics import Latencies


@dataclass(frozen=True)
class Load:
    """What a server did under load."""

    latencies: Latencies
    seconds: float  # from the first request to the last answer

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return len(self.latencies) / self.seconds


def run(port: int, bodies: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let clients each send one body after the other, in turn, over connections of their own.

    What is under way when the time is up is waited for and counts, and so does the time it takes.
    Raises what the first client to fail raised.
    """
    turn = itertools.cycle(bodies)
    lock = threading.Lock()
    start = time.perf_counter()

    def ask() -> list[float]:
        found = []
        with closing(Client(port)) as client:
            while time.perf_counter() - start < seconds:
                with lock:
                    body = next(turn)
                found.append(client.seconds(body))
        return found

    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(ask) for _ in range(clients)]
        found = [latency for future in futures for latency in future.result()]
    return Load(Latencies(found), time.perf_counter() - start)
