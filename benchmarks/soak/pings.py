"""A port in, the latencies of its pings out: five a second, each over a connection of its own."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from benchmarks.harness.statistics import Latencies

INTERVAL_SECONDS = 0.2
# More than the two seconds that the platform waits, so that it is seen how late a ping is.
PING_SECONDS = 20.0


class Pings:
    """What pings took, from the time they were planned for; and their connections, from the call.

    The thread that pings shares the interpreter with the traffic: what it measures is too long
    rather than too short.
    """

    def __init__(self, port: int) -> None:
        self.latencies = Latencies()
        self.connects = Latencies()
        self.failed = 0
        self._port = port
        self._over = threading.Event()

    def ping_until_over(self) -> None:
        """One after the other; a ping that is late does not cancel those after it."""
        planned = time.perf_counter()
        while not self._over.wait(max(0.0, planned - time.perf_counter())):
            try:
                self._ping()
            except (OSError, http.client.HTTPException):
                self.failed += 1
            self.latencies.add(time.perf_counter() - planned)
            planned += INTERVAL_SECONDS

    def end(self) -> None:
        """Ask the thread to end."""
        self._over.set()

    def _ping(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PING_SECONDS)
        with closing(connection):
            began = time.perf_counter()
            try:
                connection.connect()
            finally:
                self.connects.add(time.perf_counter() - began)
            connection.request("GET", "/ping")
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                self.failed += 1


@contextmanager
def pinging(pings: Pings) -> Iterator[None]:
    """Ping meanwhile."""
    thread = threading.Thread(target=pings.ping_until_over)
    thread.start()
    try:
        yield
    finally:
        pings.end()
        thread.join()
