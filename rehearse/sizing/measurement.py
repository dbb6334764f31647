"""Measure one memory size in the sandbox: cold starts, warm requests, large bodies, memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from platform_facts import CALL_SECONDS, MEGABYTE, SERVERLESS_BODY_BYTES, vcpus
from rehearse.container_engines import ContainerEngine, RunningContainer
from rehearse.data_plane.environments import EnvironmentStarter, ExecutionEnvironment
from rehearse.data_plane.invocation import check_answer, send
from rehearse.data_plane.quotas import Quotas
from rehearse.data_types import ContainerDefinition, Invocation
from rehearse.errors import ModelError, ModelNotReady, one_line
from rehearse.forecast.profiles import Times
from rehearse.sizing.requests import invocation

# Records in a body, until one is too many.
BODIES = (3, 10, 30, 100, 300, 1000, 3000, 10_000)
# Memory is read so often while a body is answered.
MEMORY_SECONDS = 0.05
# A container with less than a CPU has spent its share after a call, and gets it back by then.
SHARE_SECONDS = 0.1
LONGEST_MESSAGE = 200


@dataclass
class Measured:
    """What an image does at one memory size; times in milliseconds.

    `largest` is the most records in a body that were answered. `failure` says why more were not, or
    why nothing was measured at all.
    """

    memory_mb: int
    setup_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    warm_ms: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    largest: int = 0
    failure: str | None = None
    bytes: int = 0  # of a request and its answer, on average

    @property
    def times(self) -> Times | None:
        """The times for a forecast; None if single requests were not answered."""
        if not self.warm_ms:
            return None
        return Times(tuple(self.setup_ms), tuple(self.first_ms), tuple(self.warm_ms))


@dataclass
class Sandbox:
    """Starts environments of one memory size, and asks them; `quotas` say if they are frozen."""

    engine: ContainerEngine
    definition: ContainerDefinition
    memory_mb: int
    closing: threading.Event = field(default_factory=threading.Event)
    quotas: Quotas = field(default_factory=Quotas)

    @contextmanager
    def environment(self) -> Iterator[ExecutionEnvironment]:
        """Give a new environment that has answered a ping; raises what a start does."""
        starter = EnvironmentStarter(
            self.engine,
            self.definition,
            self.memory_mb,
            self.quotas.serverless_start_seconds,
            self.quotas,
            lambda _: None,
        )
        found = starter.start(self.closing)
        try:
            yield found
        finally:
            found.container.stop()

    def ask(self, container: RunningContainer, request: Invocation, times: list[float]) -> bytes:
        """Return the answer, and note its milliseconds; raises ModelError if it is no good one."""
        container.thaw()
        begun = time.monotonic()
        answer, done = send(container, request, CALL_SECONDS, time.monotonic)
        check_answer(answer, LONGEST_MESSAGE)
        if self.quotas.freezes:
            container.freeze()
        times.append((done - begun) * 1e3)
        return answer.body

    def pause(self, used_ms: float) -> None:
        """Wait until the share of the CPU that a request has used is there again."""
        share = vcpus(self.memory_mb)
        if share < 1:
            time.sleep(min(used_ms / 1e3 * (1 / share - 1), SHARE_SECONDS))


def measure(
    sandbox: Sandbox,
    records: Sequence[bytes],
    starts: int,
    calls: int,
    count: Callable[[int], object] = lambda _: None,
) -> Measured:
    """Measure; that the image is too large for this memory size is a result.

    `count` is called with how many more calls are done, of starts + calls + len(BODIES). Raises
    ModelError if the container answers a single record with 4xx or 5xx.
    """
    found = Measured(sandbox.memory_mb)
    try:
        for number in range(starts):
            with sandbox.environment() as environment:
                found.setup_ms.append(environment.setup_ms)
                request = invocation(records, first=number)
                sandbox.ask(environment.container, request, found.first_ms)
            count(1)
        with sandbox.environment() as environment, _memory_of(environment.container, found):
            sandbox.ask(environment.container, invocation(records), [])
            _warm(sandbox, environment.container, records, calls, found, count)
            _large_bodies(sandbox, environment.container, records, found, count)
    except ModelNotReady as error:
        found.failure = one_line(error)
    except ModelError as error:
        if error.original_status:
            raise
        found.failure = f"dies at a single record: {error.original_message}"
    return found


def _warm(
    sandbox: Sandbox,
    container: RunningContainer,
    records: Sequence[bytes],
    calls: int,
    found: Measured,
    count: Callable[[int], object],
) -> None:
    sizes = 0
    for number in range(calls):
        request = invocation(records, first=number)
        answer = sandbox.ask(container, request, found.warm_ms)
        sizes += len(request.body) + len(answer)
        count(1)
        sandbox.pause(found.warm_ms[-1])
    found.bytes = round(sizes / calls)


def _large_bodies(
    sandbox: Sandbox,
    container: RunningContainer,
    records: Sequence[bytes],
    found: Measured,
    count: Callable[[int], object],
) -> None:
    """Send more and more records in a body until one is refused, or ends the container."""
    found.largest = 1
    for size in BODIES:
        request = invocation(records, size)
        if len(request.body) > SERVERLESS_BODY_BYTES:
            found.failure = f"{size} records are over 4 MB"
            return
        try:
            sandbox.ask(container, request, [])
        except ModelError as error:
            verb = f"answers {error.original_status} to" if error.original_status else "dies at"
            found.failure = f"{verb} {size} records: {error.original_message}"
            return
        found.largest = size
        count(1)


@contextmanager
def _memory_of(container: RunningContainer, found: Measured) -> Iterator[None]:
    """Note the most memory that a container uses meanwhile."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(MEMORY_SECONDS):
            used = container.memory_bytes()
            if used is not None:
                found.peak_mb = max(found.peak_mb or 0.0, used / MEGABYTE)

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
