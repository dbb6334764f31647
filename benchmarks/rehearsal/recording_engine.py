"""Run this project's container on an engine of the rehearsal, and remember all that was started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import client, texts
from rehearse.container_engines import ContainerEngine, RunningTraining
from rehearse.container_engines.docker_engine import DockerContainer, DockerEngine
from rehearse.container_engines.process_engine import ProcessContainer, ProcessEngine
from rehearse.data_plane.quotas import IDLE_SECONDS, Quotas
from rehearse.data_plane.variant import RunningVariant
from rehearse.data_types import (
    ContainerDefinition,
    Invocation,
    InvocationMetrics,
    ServerlessConfig,
    TrainingContainer,
)

BODY = client.body(texts.FIRST)
CALL = Invocation(BODY, client.HEADERS["Content-Type"])
MEMORY_MB = 1024
# Figures are of calls alone: what thawing a container takes is the engine's.
NO_FREEZE = Quotas(freezes=False)

StartedContainer = DockerContainer | ProcessContainer


@dataclass
class RecordingEngine:
    """An engine that passes everything on to another, and remembers what it has started."""

    engine: DockerEngine | ProcessEngine
    container: ContainerDefinition
    started: list[StartedContainer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.not_imposed = self.engine.not_imposed

    def start(
        self, container: ContainerDefinition, memory_mb: int, log: Callable[[str], None]
    ) -> StartedContainer:
        """Start one more environment."""
        environment = self.engine.start(container, memory_mb, log)
        self.started.append(environment)
        return environment

    def close(self) -> None:
        """End the engine."""
        self.engine.close()

    def end_leftovers(self) -> int:
        """End what killed rehearsals have left; return how much that was."""
        return self.engine.end_leftovers()

    def train(self, container: TrainingContainer, log: Callable[[str], None]) -> RunningTraining:
        """Start a training container."""
        return self.engine.train(container, log)

    def alive(self) -> list[StartedContainer]:
        """Return what runs now, the oldest first."""
        return [each for each in list(self.started) if each.alive()]

    @contextmanager
    def serving(
        self,
        concurrency: int,
        quotas: Quotas = NO_FREEZE,
        idle_seconds: float = IDLE_SECONDS,
        observe: Callable[[InvocationMetrics], None] = lambda _: None,
    ) -> Iterator[RunningVariant]:
        """Serve a serverless variant of so much MaxConcurrency; `observe` is told of each call."""
        engine: ContainerEngine = self
        variant = RunningVariant(
            engine,
            self.container,
            ServerlessConfig(MEMORY_MB, concurrency),
            log=lambda _: None,
            observe=observe,
            idle_seconds=idle_seconds,
            quotas=quotas,
        )
        variant.start()
        try:
            yield variant
        finally:
            variant.close()


def open_engine(kind: str, image: str, model: Path) -> RecordingEngine:
    """Return the engine of a name, for one image and model; raises ContainerEngineError."""
    engine = DockerEngine() if kind == "docker" else ProcessEngine()
    # Without a line for each request, which somebody would have to read meanwhile.
    return RecordingEngine(engine, ContainerDefinition(image, model, {"LOG_LEVEL": "warning"}))
