"""Watch a server while it is under load: sample its memory, and see how fast it answers pings."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

from benchmarks.harness.servers import Server
from benchmarks.harness.statistics import Latencies

PING_INTERVAL_SECONDS = 0.2
# More than the two seconds that the platform waits, so that it is seen how late a ping is.
PING_SECONDS = 20.0


@contextmanager
def _meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do some work in a thread, and set an event when it shall end."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def memory_sampled(
    running: Server,
    requests: Callable[[], int],
    seconds: float,
    keep: Callable[[Mapping[str, float]], None],
) -> Iterator[None]:
    """Keep the memory after so many requests, in MB: now, every so many seconds, and at the end.

    `rss` counts pages that processes share in each of them; `anonymous` leaves out those of files.
    """

    def sample() -> None:
        with suppress(OSError):  # a thread or a process ended while it was read
            megabytes = {"rss": running.rss(), "anonymous": running.anonymous()}
            keep({"requests": requests(), **megabytes})

    def sample_until(over: threading.Event) -> None:
        while not over.wait(seconds):
            sample()

    sample()
    with _meanwhile(sample_until):
        yield
    sample()


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

    def ping_until(self, over: threading.Event) -> None:
        """Ping five times a second; a ping that is late does not cancel those after it."""
        planned = time.perf_counter()
        while not over.wait(max(0.0, planned - time.perf_counter())):
            try:
                self._ping()
            except (OSError, http.client.HTTPException):
                self.failed += 1
            self.latencies.add(time.perf_counter() - planned)
            planned += PING_INTERVAL_SECONDS

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
def pinged(port: int) -> Iterator[Pings]:
    """Ping meanwhile, each time over a connection of its own."""
    pings = Pings(port)
    with _meanwhile(pings.ping_until):
        yield pings
