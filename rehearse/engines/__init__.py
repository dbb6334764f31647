"""The seam: a container and a memory size in, a running environment out that answers HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from rehearse.model import Container

# Status, headers (whatever their case) and body.
Answer = tuple[int, Mapping[str, str], bytes]


class EngineError(Exception):
    """An engine cannot do what it is asked; the message is one line that says what to do."""


class Environment(Protocol):
    """One running container."""

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> Answer:
        """Ask it; raises TimeoutError after so many seconds, another OSError if it is gone."""
        ...

    def memory(self) -> int | None:
        """Bytes in use now, if that can be told. May take a while."""
        ...

    def out_of_memory(self, since: float) -> bool:
        """Whether it has lost a process for want of memory since then. May take a while."""
        ...

    def alive(self) -> bool:
        """Whether it still runs. Takes no time."""
        ...

    def stop(self, seconds: float = 0.0) -> None:
        """End it: SIGTERM, and SIGKILL after so many seconds.

        Doing so twice does no harm; doing so without seconds ends the time of another's.
        """
        ...


class Engine(Protocol):
    """A way to run containers."""

    # What of the platform's sandbox it cannot impose, in words.
    limits: tuple[str, ...]

    def start(
        self, container: Container, memory_mb: int, log: Callable[[str], None]
    ) -> Environment:
        """Start one, without waiting for it; each line it writes is logged. Raises EngineError."""
        ...

    def close(self) -> None:
        """End what is still there of all that it has started."""
        ...
