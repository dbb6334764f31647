"""Calls of one production variant in, replies of its containers out, or the platform's errors.

    invoke    size -> a pool's lease -> exchange with the container -> what was seen -> reply

A pool (serverless.py, instances.py) has the environments; engines/ run them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rehearse import exchange
from rehearse.building import Builder
from rehearse.engines import Engine, EngineError
from rehearse.limits import IDLE_SECONDS, Limits
from rehearse.metering import billed
from rehearse.model import (
    Call,
    Container,
    Instance,
    Observation,
    Oversize,
    PlaneError,
    Reply,
    Serverless,
    Throttled,
    Unavailable,
)
from rehearse.pools import Pool, Retired, UnderWay
from rehearse.starting import Lease


class Fleet:
    """One variant of an endpoint, for any number of threads.

    `observe` is told of every call, `log` of every line that a container writes; both in the
    thread where it happens. `clock` is time.monotonic, or a test's.
    """

    def __init__(
        self,
        engine: Engine,
        container: Container,
        spec: Serverless | Instance,
        *,
        log: Callable[[str], None],
        observe: Callable[[Observation], None],
        idle_seconds: float = IDLE_SECONDS,
        limits: Limits | None = None,
        variant: str = "AllTraffic",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.container, self.spec = container, spec
        self._limits, self._observe, self._clock = limits or Limits(), observe, clock
        self._build = Builder(engine, log, idle_seconds, self._limits, variant, clock)
        self._changing = threading.Lock()
        self._calls = UnderWay()
        self._draining = False
        self._closed = threading.Event()
        self._serving = self._build.pool(container, spec)
        self._pools = [self._serving]  # with those that come, or finish what they have under way
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)

    def start(self) -> None:
        """Be ready to serve; raises NotReady or EngineError, and then nothing is left."""
        try:
            self._serving.start()
        except BaseException:
            self.close()
            raise
        self._sweeper.start()

    def invoke(self, call: Call) -> Reply:
        """One call; raises PlaneError, or Retired where another fleet has taken its place."""
        with self._calls:
            begun = self._clock()
            largest = self._build.largest(self.spec)
            if len(call.body) > largest:
                raise Oversize
            pool, lease = self._lease(begun)
            answer = exchange.Answer(0, {}, b"")
            sent = self._clock()
            try:
                answer = exchange.ask(lease.slot.environment, call, self._limits.call_seconds)
            finally:
                done = self._clock()
                pool.give_back(lease, answer.lost)
            setup_ms = lease.slot.setup_ms if lease.cold else 0.0
            billed_ms = billed(done - sent, setup_ms if self._limits.setup_is_billed else 0.0)
            self._observe(
                Observation(
                    billed_ms=billed_ms,
                    cold=lease.cold,
                    setup_ms=setup_ms,
                    model_us=int((done - sent) * 1e6),
                    overhead_us=int((self._clock() - done + sent - begun) * 1e6),
                    status=answer.status,
                    spilled=lease.spilled,
                    memory_percent=lease.slot.memory_percent(),
                    concurrency=lease.concurrency,
                    bytes_in=len(call.body),
                    bytes_out=0 if answer.lost else len(answer.body),
                )
            )
            if answer.lost and self._closed.is_set():
                raise Unavailable("The endpoint was stopped before its container had answered.")
            exchange.check(answer, largest, self._limits.message_characters)
            return exchange.reply(answer, lease.cold, billed_ms)

    def update(self, container: Container, spec: Serverless | Instance) -> None:
        """Another container or size, without losing a call; if that fails, nothing has changed."""
        with self._changing:
            old = self._serving
            if old.resize(container, spec):
                self.spec = spec
                return
            new = self._build.pool(container, spec)
            self._pools.append(new)
            try:
                if self._closed.is_set():
                    raise Unavailable("The endpoint has been stopped.")
                new.start()
            except BaseException:
                new.close()
                self._pools.remove(new)
                raise
            self._serving, self.container, self.spec = new, container, spec
            old.retire()

    def sweep(self) -> None:
        """Look after environments; a thread does so all the time."""
        for pool in list(self._pools):
            pool.sweep()

    def sizes(self) -> tuple[int, int]:
        """How many environments serve, and how many of them are idle."""
        return self._serving.sizes()

    def drain(self) -> None:
        """Take no more calls, and end when all that are under way have been answered."""
        self._draining = True
        self._serving.retire()
        self._calls.wait()
        self.close()

    def close(self) -> None:
        """End all environments. Calls that are under way are lost, each with an error."""
        self._closed.set()
        for pool in list(self._pools):
            pool.close()
        if self._sweeper.is_alive():
            self._sweeper.join()

    def _lease(self, begun: float) -> tuple[Pool, Lease]:
        while not self._closed.is_set():
            pool = self._serving
            try:
                return pool, pool.lease()
            except Retired:
                if self._draining:
                    raise
                # Another pool serves by now.
            except Throttled as error:
                self._observe(Observation(throttled=True, status=0, concurrency=error.limit))
                raise
            except (PlaneError, EngineError) as error:
                overhead = int((self._clock() - begun) * 1e6)
                self._observe(Observation(overhead_us=overhead, status=0))
                if isinstance(error, EngineError):
                    raise Unavailable(str(error)) from error
                raise
        if self._draining:
            raise Retired
        raise Unavailable("The endpoint has been stopped.")

    def _sweep(self) -> None:
        while not self._closed.wait(self._limits.sweep_seconds):
            self.sweep()
