"""Calls of one production variant in, replies of its containers out, or the platform's errors.

    invoke    size -> the pool's lease -> exchange with the container -> what was seen -> reply

The pool (serverless.py, instances.py) has the environments; engines/ run them. A fleet is one
container at one memory size: an endpoint that gets another gets another fleet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rehearse.data_plane import exchange
from rehearse.data_plane.instances import InstancePool
from rehearse.data_plane.limits import IDLE_SECONDS, Limits
from rehearse.data_plane.pools import Pool, Retired, UnderWay
from rehearse.data_plane.serverless import ServerlessPool
from rehearse.data_plane.starting import Lease, Starter
from rehearse.engines import Engine, EngineError
from rehearse.model import (
    Call,
    Container,
    Instance,
    Observation,
    PlaneError,
    Reply,
    Serverless,
    Throttled,
    Unavailable,
)


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
        memory_mb, seconds, self._largest = self._limits.of(spec)
        starter = Starter(engine, container, memory_mb, seconds, self._limits, log, variant, clock)
        self._pool: Pool = (
            ServerlessPool(starter, spec, idle_seconds)
            if isinstance(spec, Serverless)
            else InstancePool(starter)
        )
        self._calls = UnderWay()
        self._draining = False
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)

    def start(self) -> None:
        """Be ready to serve; raises NotReady or EngineError, and then nothing is left."""
        try:
            self._pool.start()
        except BaseException:
            self.close()
            raise
        self._sweeper.start()

    def invoke(self, call: Call) -> Reply:
        """One call; raises PlaneError, or Retired where another fleet has taken its place."""
        with self._calls:
            begun = self._clock()
            exchange.check_size(call.body, self._largest)
            lease = self._lease(begun)
            answer, sent, done = exchange.LOST, self._clock(), None
            try:
                answer, done = exchange.ask(
                    lease.slot.environment, call, self._limits.call_seconds, self._clock
                )
            finally:
                done = done or self._clock()
                self._pool.give_back(lease, answer.lost)
            setup_ms = lease.slot.setup_ms if lease.cold else 0.0
            billed_ms = exchange.billed(
                done - sent, setup_ms if self._limits.setup_is_billed else 0.0
            )
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
            exchange.check(answer, self._limits.message_characters)
            exchange.check_size(answer.body, self._largest)
            return exchange.reply(answer, lease.cold, billed_ms)

    def resize(self, spec: Serverless | Instance) -> None:
        """Another concurrency or number of instances, in place; raises what starting one does."""
        self._pool.resize(spec)
        self.spec = spec

    def sweep(self) -> None:
        """Look after environments; a thread does so all the time."""
        self._pool.sweep()

    def sizes(self) -> tuple[int, int]:
        """How many environments there are, and how many of them are idle."""
        return self._pool.sizes()

    def drain(self) -> None:
        """Take no more calls, and end when all that are under way have been answered."""
        self._draining = True
        self._pool.retire()
        self._calls.wait()
        self._pool.wait()
        self.close()

    def close(self) -> None:
        """End all environments. Calls that are under way are lost, each with an error."""
        self._closed.set()
        self._pool.close()
        if self._sweeper.is_alive():
            self._sweeper.join()

    def _lease(self, begun: float) -> Lease:
        try:
            return self._pool.lease()
        except Retired:
            if self._draining:
                raise
            raise Unavailable("The endpoint has been stopped.") from None
        except Throttled as error:
            self._observe(Observation(throttled=True, status=0, concurrency=error.limit))
            raise
        except (PlaneError, EngineError) as error:
            overhead = int((self._clock() - begun) * 1e6)
            self._observe(Observation(overhead_us=overhead, status=0))
            if isinstance(error, EngineError):
                raise Unavailable(str(error)) from error
            raise

    def _sweep(self) -> None:
        while not self._closed.wait(self._limits.sweep_seconds):
            self.sweep()
