"""State what the data plane asks of an engine that runs containers: Docker, or processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rehearse.container_engines.running_container import RunningContainer
from rehearse.data_types import ContainerDefinition

__all__ = ["ContainerEngine", "RunningContainer", "open_engine"]


class ContainerEngine(Protocol):
    """A way to run containers."""

    # What of the platform's sandbox this engine cannot impose, in words.
    not_imposed: tuple[str, ...]

    def start(
        self, definition: ContainerDefinition, memory_mb: int, log: Callable[[str], None]
    ) -> RunningContainer:
        """Start a container without waiting for it, and log each line that it writes.

        Raises ContainerEngineError.
        """
        ...

    def close(self) -> None:
        """End every container that this engine has started and that still runs."""
        ...

    def end_leftovers(self) -> int:
        """End the containers of rehearsals that were killed; return how many there were."""
        ...


def open_engine(name: str) -> ContainerEngine:
    """Return the engine of one of the ENGINES; raise ContainerEngineError if it cannot work."""
    if name == "docker":
        from rehearse.container_engines.docker_engine import DockerEngine

        return DockerEngine()
    from rehearse.container_engines.process_engine import ProcessEngine

    return ProcessEngine()
