"""A fleet of scripted processes, and all that it was seen to do."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.data_plane.fleet import Fleet
from rehearse.data_plane.limits import Limits
from rehearse.engines import Engine
from rehearse.engines.process_engine import ProcessEngine
from rehearse.model import Call, Container, Instance, Observation, Reply, Serverless

SCRIPT = Path(__file__).with_name("scripted.py")
SMALL = Serverless(1024, 4)
# Nothing is swept in the background, so that a test sees what a call or a sweep does by itself.
CALM = Limits(sweep_seconds=3600)


def scripted_engine() -> ProcessEngine:
    """Runs scripted.py, without what this interpreter's site has."""
    return ProcessEngine((sys.executable, "-I", "-S", str(SCRIPT)))


class Clock:
    """A time that also moves when a test says so."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@dataclass
class Rig:
    """One fleet under test."""

    engine: Engine
    folder: Path
    spec: Serverless | Instance = SMALL
    limits: Limits = CALM
    environment: dict[str, str] = field(default_factory=dict)
    idle_seconds: float = 300.0
    clock: Clock = field(default_factory=Clock)
    seen: list[Observation] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.threads = ThreadPoolExecutor(64)
        self.gate = self.folder / "gate"
        self.fleet = Fleet(
            self.engine,
            self.container(**self.environment),
            self.spec,
            log=self.lines.append,
            observe=self.seen.append,
            idle_seconds=self.idle_seconds,
            limits=self.limits,
            clock=self.clock,
        )

    def container(self, **environment: str) -> Container:
        return Container("scripted", None, environment)

    def ask(self, **asked: Any) -> Reply:
        """A call that asks for something."""
        return self.fleet.invoke(Call(json.dumps(asked).encode(), "application/json"))

    def tell(self) -> dict[str, Any]:
        """A call that asks who answers."""
        return told(self.ask(do="tell"))

    def hold(self, count: int = 1) -> list[Future[Reply]]:
        """So many calls at once that are answered when release() is called."""
        return [
            self.threads.submit(self.ask, do="hold", until=str(self.gate)) for _ in range(count)
        ]

    def release(self) -> None:
        self.gate.touch()

    def close(self) -> None:
        self.release()
        self.fleet.close()
        self.threads.shutdown()


def told(reply: Reply) -> dict[str, Any]:
    """What a scripted container says."""
    found: dict[str, Any] = json.loads(reply.body)
    return found


def eventually(found: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    nothing = threading.Event()
    while not found():
        assert time.monotonic() < deadline, "it has not come to pass"
        nothing.wait(0.01)
