"""Run one production variant: answer its invocations with its containers.

    invoke    size -> lease of an environment -> request to its container -> metrics -> response

serverless.py and instance.py have the environments; container_engines/ runs them. A variant has one
container at one memory size: an endpoint that gets another gets another variant.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rehearse.container_engines import ContainerEngine
from rehearse.data_plane.environments import EnvironmentStarter, Lease
from rehearse.data_plane.instance import InstanceEnvironment
from rehearse.data_plane.invocation import (
    NO_ANSWER,
    billed_milliseconds,
    check_answer,
    check_size,
    send,
    to_response,
)
from rehearse.data_plane.quotas import IDLE_SECONDS, Quotas
from rehearse.data_plane.serverless import ServerlessEnvironments
from rehearse.data_types import (
    ContainerDefinition,
    Invocation,
    InvocationMetrics,
    InvocationResponse,
    ServerlessConfig,
    VariantConfig,
)
from rehearse.errors import (
    ContainerEngineError,
    InvocationError,
    ServiceUnavailable,
    Throttled,
    VariantReplaced,
)


class RunningVariant:
    """One variant of an endpoint, for any number of threads.

    `observe` is told of every invocation, `log` of every line that a container writes; both in the
    thread where it happens. `clock` is time.monotonic, or a test's.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        container: ContainerDefinition,
        config: VariantConfig,
        *,
        log: Callable[[str], None],
        observe: Callable[[InvocationMetrics], None],
        idle_seconds: float = IDLE_SECONDS,
        quotas: Quotas | None = None,
        name: str = "AllTraffic",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.container, self.config = container, config
        self._quotas, self._observe, self._clock = quotas or Quotas(), observe, clock
        self._largest = self._quotas.body_bytes(config)
        starter = EnvironmentStarter(
            engine,
            container,
            self._quotas.memory_mb(config),
            self._quotas.start_seconds(config),
            self._quotas,
            log,
            name,
            clock,
        )
        self._environments = (
            ServerlessEnvironments(starter, config, idle_seconds)
            if isinstance(config, ServerlessConfig)
            else InstanceEnvironment(starter)
        )
        self._under_way = UnderWay()
        self._draining = False
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_on, name="sweeper", daemon=True)

    def start(self) -> None:
        """Become ready to serve; raise ModelNotReady or ContainerEngineError and leave nothing."""
        try:
            self._environments.start()
        except BaseException:
            self.close()
            raise
        self._sweeper.start()

    def invoke(self, invocation: Invocation) -> InvocationResponse:
        """Answer one invocation, or raise InvocationError."""
        with self._under_way:
            begun = self._clock()
            check_size(invocation.body, self._largest)
            lease = self._lease(begun)
            answer, sent, done = NO_ANSWER, self._clock(), None
            try:
                answer, done = send(
                    lease.environment.container, invocation, self._quotas.call_seconds, self._clock
                )
            finally:
                done = done or self._clock()
                self._environments.give_back(lease, answer.lost)
            setup_ms = lease.environment.setup_ms if lease.cold else 0.0
            billed_ms = billed_milliseconds(
                done - sent, setup_ms if self._quotas.setup_is_billed else 0.0
            )
            self._observe(
                InvocationMetrics(
                    billed_ms=billed_ms,
                    cold=lease.cold,
                    setup_ms=setup_ms,
                    model_us=int((done - sent) * 1e6),
                    overhead_us=int((self._clock() - done + sent - begun) * 1e6),
                    status=answer.status,
                    spilled=lease.spilled,
                    memory_percent=lease.environment.memory_percent(),
                    concurrency=lease.concurrency,
                    bytes_in=len(invocation.body),
                    bytes_out=0 if answer.lost else len(answer.body),
                )
            )
            if answer.lost and self._closed.is_set():
                raise ServiceUnavailable(
                    "The endpoint was stopped before its container had answered."
                )
            check_answer(answer, self._quotas.message_characters)
            check_size(answer.body, self._largest)
            return to_response(answer, lease.cold, billed_ms)

    def resize(self, config: VariantConfig) -> None:
        """Take another concurrency or number of instances in place; raise what a start does."""
        self._environments.resize(config)
        self.config = config

    def sweep(self) -> None:
        """Look after the environments; a thread does so all the time."""
        self._environments.sweep()

    def sizes(self) -> tuple[int, int]:
        """Return how many environments there are, and how many of them are idle."""
        return self._environments.sizes()

    def drain(self) -> None:
        """Take no more calls, and end when all that are under way have been answered."""
        self._draining = True
        self._environments.retire()
        self._under_way.wait()
        self._environments.wait()
        self.close()

    def close(self) -> None:
        """End all environments. Calls that are under way are lost, each with an error."""
        self._closed.set()
        self._environments.close()
        if self._sweeper.is_alive():
            self._sweeper.join()

    def _lease(self, begun: float) -> Lease:
        try:
            return self._environments.lease()
        except VariantReplaced:
            if self._draining:
                raise
            raise ServiceUnavailable("The endpoint has been stopped.") from None
        except Throttled as error:
            self._observe(
                InvocationMetrics(throttled=True, status=0, concurrency=error.max_concurrency)
            )
            raise
        except (InvocationError, ContainerEngineError) as error:
            overhead = int((self._clock() - begun) * 1e6)
            self._observe(InvocationMetrics(overhead_us=overhead, status=0))
            if isinstance(error, ContainerEngineError):
                raise ServiceUnavailable(str(error)) from error
            raise

    def _sweep_on(self) -> None:
        while not self._closed.wait(self._quotas.sweep_seconds):
            self.sweep()


class UnderWay:
    """Counts the calls under way, so that one can wait until there are none."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until all have ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count)
