"""An engine and a container in, environments that have answered a ping with 200 out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rehearse.data_plane.limits import Limits
from rehearse.engines import Engine, Environment
from rehearse.model import Container, NotReady, Unavailable

# https://github.com/aws/amazon-sagemaker-examples/issues/210
PING = (
    "The primary container for production variant {variant} did not pass the ping health "
    "check. Please check CloudWatch logs for this endpoint."
)
CHARACTERS = 300  # of a failing ping


@dataclass(eq=False)
class Slot:
    """A place that holds one environment."""

    environment: Environment
    memory_mb: int
    setup_ms: float
    used: float  # when it was last given back
    memory: int | None = None  # bytes, when last looked at
    provisioned: bool = False
    looked_at: bool = True  # since its last call

    def look(self) -> None:
        """See how much memory it uses, if it has answered anything since the last look."""
        if not self.looked_at:
            self.looked_at = True
            self.memory = self.environment.memory() or self.memory

    def memory_percent(self) -> float | None:
        """Of the memory size, when last looked at."""
        return None if self.memory is None else self.memory / self.memory_mb / 2**20 * 100


@dataclass(frozen=True)
class Lease:
    """A slot that answers a call now."""

    slot: Slot
    cold: bool
    concurrency: int
    spilled: bool = False


@dataclass(frozen=True)
class Starter:
    """All that is needed to start environments of one kind."""

    engine: Engine
    container: Container
    memory_mb: int
    seconds: float
    limits: Limits
    log: Callable[[str], None]
    variant: str = "AllTraffic"
    clock: Callable[[], float] = time.monotonic

    def start(self, closing: threading.Event) -> Slot:
        """One more; raises NotReady, or Unavailable once `closing` is set, or EngineError."""
        if closing.is_set():
            raise Unavailable("The endpoint is being stopped.")
        begun = self.clock()
        environment = self.engine.start(self.container, self.memory_mb, self.log)
        try:
            self._await(environment, begun + self.seconds, closing)
            memory = environment.memory()
        except BaseException:
            environment.stop()
            raise
        now = self.clock()
        return Slot(environment, self.memory_mb, (now - begun) * 1e3, now, memory)

    def _await(self, environment: Environment, deadline: float, closing: threading.Event) -> None:
        """Ping until it answers 200; the platform waits, even for one that answers otherwise."""
        last = "no ping was answered"
        while self.clock() < deadline:
            if closing.is_set():
                raise Unavailable("The endpoint is being stopped.")
            if not environment.alive():
                raise self._not_ready("the container has ended")
            status, body = ping(environment, self.limits.ping_seconds)
            if status == 200:
                return
            if status:
                last = f"the last ping was answered with {status}: {_reason(body)}"
            closing.wait(self.limits.poll_seconds)
        raise self._not_ready(last)

    def _not_ready(self, why: str) -> NotReady:
        text = PING.format(variant=self.variant)
        # What the platform leaves to the logs.
        return NotReady(f"{text} ({why.rstrip(': ')})")


def ping(environment: Environment, seconds: float) -> tuple[int, bytes]:
    """Status and body of the answer to one; 0 where there is none."""
    try:
        status, _, body = environment.request("GET", "/ping", b"", {}, seconds)
    except OSError:
        return 0, b""
    return status, body


def _reason(body: bytes) -> str:
    """What a ping says, in one line."""
    text = body[: 4 * CHARACTERS].decode(errors="replace")
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("error"), str):
        text = found["error"]
    return " ".join(text.split())[:CHARACTERS]
