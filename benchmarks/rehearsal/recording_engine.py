"""Run this project's container on an engine of the rehearsal, and remember all that was started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import client, texts
from rehearse.data_plane.fleet import Fleet
from rehearse.data_plane.limits import Limits
from rehearse.engines.docker_engine import DockerEngine
from rehearse.engines.docker_environment import DockerEnvironment
from rehearse.engines.process_engine import ProcessEngine, ProcessEnvironment
from rehearse.model import Call, Container, Serverless

if TYPE_CHECKING:
    from rehearse.engines import Engine

BODY = client.body(texts.FIRST)
CALL = Call(BODY, client.HEADERS["Content-Type"])
MEMORY_MB = 1024

Environment = DockerEnvironment | ProcessEnvironment


@dataclass
class RecordingEngine:
    """An engine that passes everything on to another, and remembers what it has started."""

    engine: DockerEngine | ProcessEngine
    container: Container
    started: list[Environment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limits = self.engine.limits

    def start(
        self, container: Container, memory_mb: int, log: Callable[[str], None]
    ) -> Environment:
        """Start one more environment."""
        environment = self.engine.start(container, memory_mb, log)
        self.started.append(environment)
        return environment

    def close(self) -> None:
        """End the engine."""
        self.engine.close()

    def alive(self) -> list[Environment]:
        """Return what runs now, the oldest first."""
        return [each for each in list(self.started) if each.alive()]

    @contextmanager
    def serving(
        self, concurrency: int, limits: Limits | None = None, idle_seconds: float = 300.0
    ) -> Iterator[Fleet]:
        """Serve a serverless variant of so much MaxConcurrency."""
        engine: Engine = self
        fleet = Fleet(
            engine,
            self.container,
            Serverless(MEMORY_MB, concurrency),
            log=lambda _: None,
            observe=lambda _: None,
            idle_seconds=idle_seconds,
            limits=limits,
        )
        fleet.start()
        try:
            yield fleet
        finally:
            fleet.close()


def open_engine(kind: str, image: str, model: Path) -> RecordingEngine:
    """Return the engine of a name, for one image and model; raises EngineError."""
    engine = DockerEngine() if kind == "docker" else ProcessEngine()
    # Without a line for each request, which somebody would have to read meanwhile.
    return RecordingEngine(engine, Container(image, model, {"LOG_LEVEL": "warning"}))
