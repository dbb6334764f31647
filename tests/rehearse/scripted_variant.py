"""Run a variant whose containers are scripted_container.py, and keep all that it records."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.container_engines import ContainerEngine
from rehearse.container_engines.process_engine import ProcessEngine
from rehearse.data_plane.quotas import Quotas
from rehearse.data_plane.variant import RunningVariant
from rehearse.data_types import (
    ContainerDefinition,
    Invocation,
    InvocationMetrics,
    InvocationResponse,
    ServerlessConfig,
    VariantConfig,
)

SCRIPT = Path(__file__).with_name("scripted_container.py")
SMALL = ServerlessConfig(1024, 4)
# Nothing is swept in the background, so that a test sees what a call or a sweep does by itself.
NO_SWEEPS = Quotas(sweep_seconds=3600)


def scripted_engine() -> ProcessEngine:
    """Return an engine that runs scripted_container.py, without this interpreter's packages."""
    return ProcessEngine((sys.executable, "-I", "-S", str(SCRIPT)))


class Clock:
    """A time that also moves when a test says so."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@dataclass
class ScriptedVariant:
    """One variant under test."""

    engine: ContainerEngine
    folder: Path
    config: VariantConfig = SMALL
    quotas: Quotas = NO_SWEEPS
    environment: dict[str, str] = field(default_factory=dict)
    idle_seconds: float = 300.0
    clock: Clock = field(default_factory=Clock)
    seen: list[InvocationMetrics] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.threads = ThreadPoolExecutor(64)
        self.gate = self.folder / "gate"
        self.variant = RunningVariant(
            self.engine,
            ContainerDefinition("scripted", None, self.environment),
            self.config,
            log=self.lines.append,
            observe=self.seen.append,
            idle_seconds=self.idle_seconds,
            quotas=self.quotas,
            clock=self.clock,
        )

    def ask(self, **asked: Any) -> InvocationResponse:
        """Ask a container to do something."""
        return self.variant.invoke(Invocation(json.dumps(asked).encode(), "application/json"))

    def tell(self) -> dict[str, Any]:
        """Ask a container who it is."""
        return told(self.ask(do="tell"))

    def hold(self, count: int = 1) -> list[Future[InvocationResponse]]:
        """Start so many calls at once that are answered when release() is called."""
        return [
            self.threads.submit(self.ask, do="hold", until=str(self.gate)) for _ in range(count)
        ]

    def release(self) -> None:
        self.gate.touch()

    def close(self) -> None:
        self.release()
        self.variant.close()
        self.threads.shutdown()


def told(response: InvocationResponse) -> dict[str, Any]:
    """Return what a scripted container says."""
    found: dict[str, Any] = json.loads(response.body)
    return found
