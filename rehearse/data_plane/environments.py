"""Start and end execution environments.

An execution environment is one running container that has answered a ping with 200, and what is
known of it. How many a variant has is decided in serverless.py and instance.py.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rehearse.container_engines import ContainerEngine, RunningContainer
from rehearse.data_plane.quotas import Quotas
from rehearse.data_types import ContainerDefinition
from rehearse.errors import ModelNotReady, ServiceUnavailable

# https://github.com/aws/amazon-sagemaker-examples/issues/210
PING_FAILED = (
    "The primary container for production variant {variant} did not pass the ping health "
    "check. Please check CloudWatch logs for this endpoint."
)
# So much is quoted of the answer to a failed ping.
PING_CHARACTERS = 300


@dataclass(eq=False)
class ExecutionEnvironment:
    """One running container, and what the variant knows of it."""

    container: RunningContainer
    memory_mb: int
    setup_ms: float
    last_used: float
    memory_bytes: int | None = None  # when last measured
    provisioned: bool = False
    measured: bool = True  # since its last call

    def measure(self) -> None:
        """Measure its memory, if it has answered anything since that was done last."""
        if not self.measured:
            self.measured = True
            self.memory_bytes = self.container.memory_bytes() or self.memory_bytes

    def memory_percent(self) -> float | None:
        """Return the share of the memory size in use, when last measured."""
        if self.memory_bytes is None:
            return None
        return self.memory_bytes / self.memory_mb / 2**20 * 100


@dataclass(frozen=True)
class Lease:
    """An environment that answers one call now."""

    environment: ExecutionEnvironment
    cold: bool
    concurrency: int
    spilled: bool = False


@dataclass(frozen=True)
class EnvironmentStarter:
    """All that is needed to start environments of one variant."""

    engine: ContainerEngine
    definition: ContainerDefinition
    memory_mb: int
    start_seconds: float
    quotas: Quotas
    log: Callable[[str], None]
    variant: str = "AllTraffic"
    clock: Callable[[], float] = time.monotonic

    def start(self, closing: threading.Event) -> ExecutionEnvironment:
        """Start one more, and return it when it has answered a ping with 200.

        Raises ModelNotReady, ContainerEngineError, or ServiceUnavailable once `closing` is set.
        """
        if closing.is_set():
            raise ServiceUnavailable("The endpoint is being stopped.")
        begun = self.clock()
        container = self.engine.start(self.definition, self.memory_mb, self.log)
        try:
            self._await_ping(container, begun + self.start_seconds, closing)
            memory = container.memory_bytes()
        except BaseException:
            container.stop()
            raise
        now = self.clock()
        return ExecutionEnvironment(container, self.memory_mb, (now - begun) * 1e3, now, memory)

    def _await_ping(
        self, container: RunningContainer, deadline: float, closing: threading.Event
    ) -> None:
        """Ping until a 200 comes; like the platform, go on where something else is answered."""
        last = "no ping was answered"
        while self.clock() < deadline:
            if closing.is_set():
                raise ServiceUnavailable("The endpoint is being stopped.")
            if not container.alive():
                raise self._not_ready("the container has ended")
            status, body = ping(container, self.quotas.ping_seconds)
            if status == 200:
                return
            if status:
                last = f"the last ping was answered with {status}: {_ping_message(body)}"
            closing.wait(self.quotas.poll_seconds)
        raise self._not_ready(last)

    def _not_ready(self, why: str) -> ModelNotReady:
        text = PING_FAILED.format(variant=self.variant)
        # The platform leaves the reason to the logs.
        return ModelNotReady(f"{text} ({why.rstrip(': ')})")


def ping(container: RunningContainer, seconds: float) -> tuple[int, bytes]:
    """Return status and body of the answer to one ping; status 0 where there is none."""
    try:
        status, _, body = container.request("GET", "/ping", b"", {}, seconds)
    except OSError:
        return 0, b""
    return status, body


def _ping_message(body: bytes) -> str:
    """Return what the answer to a ping says, in one line."""
    text = body[: 4 * PING_CHARACTERS].decode(errors="replace")
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("error"), str):
        text = found["error"]
    return " ".join(text.split())[:PING_CHARACTERS]


class BackgroundStops:
    """Stops containers in the background: a call need not wait until another's has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopping: dict[threading.Thread, RunningContainer] = {}

    def stop(self, container: RunningContainer, seconds: float = 0.0) -> None:
        """Stop one, and give it so many seconds to leave."""

        def run() -> None:
            container.stop(seconds)
            with self._lock:
                del self._stopping[threading.current_thread()]

        thread = threading.Thread(target=run, name="stop")
        with self._lock:
            self._stopping[thread] = container
            thread.start()

    def wait(self, at_once: bool) -> None:
        """Wait until all have ended: at once, or in the time that they were given."""
        with self._lock:
            stopping = dict(self._stopping)
        for thread, container in stopping.items():
            if at_once:
                container.stop()
            thread.join()
