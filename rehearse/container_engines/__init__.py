"""State what is asked of an engine that runs containers: Docker, or processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rehearse.container_engines.running_container import RunningContainer
from rehearse.data_types import ContainerDefinition, TrainingContainer

__all__ = ["ContainerEngine", "RunningContainer", "RunningTraining", "open_engine"]


class RunningTraining(Protocol):
    """The running container of a training job."""

    def wait(self, seconds: float) -> int | None:
        """Wait so many seconds at most; return the exit code, or None while it runs.

        What it has written is logged before.
        """
        ...

    def terminate(self) -> None:
        """Send SIGTERM."""
        ...

    def kill(self) -> None:
        """Send SIGKILL."""
        ...

    def collect(self) -> None:
        """Bring what it has written below /opt/ml into the folder that it was given.

        Raises ContainerEngineError, OSError or tarfile.TarError.
        """
        ...

    def stop(self) -> None:
        """End it at once, and leave nothing of it but the folder. Safe to call twice."""
        ...


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

    def train(self, container: TrainingContainer, log: Callable[[str], None]) -> RunningTraining:
        """Start the container of a training job, and log each line that it writes.

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
