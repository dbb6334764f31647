"""An engine by name in, fleets of this project's container on it out, with faults to inject."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import client, texts
from rehearse.data_plane.fleet import Fleet
from rehearse.data_plane.limits import Limits
from rehearse.engines.docker_engine import DockerEngine
from rehearse.engines.docker_environment import DockerEnvironment
from rehearse.engines.process_engine import ProcessEngine, ProcessEnvironment
from rehearse.model import Call, Container, Observation, Serverless

if TYPE_CHECKING:
    from rehearse.engines import Engine

BODY = client.body(texts.FIRST)
CALL = Call(BODY, client.HEADERS["Content-Type"])
# Memory of a container is limited; its /tmp lies in it, and cannot be killed.
FILL = ["sh", "-c", "cat /dev/zero >/tmp/fill"]

Environment = DockerEnvironment | ProcessEnvironment


@dataclass
class Desk:
    """An engine that remembers what it has started; itself an engine."""

    engine: DockerEngine | ProcessEngine
    container: Container
    started: list[Environment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limits = self.engine.limits

    def start(
        self, container: Container, memory_mb: int, log: Callable[[str], None]
    ) -> Environment:
        """Start one more."""
        environment = self.engine.start(container, memory_mb, log)
        self.started.append(environment)
        return environment

    def close(self) -> None:
        """End the engine."""
        self.engine.close()

    def alive(self) -> list[Environment]:
        """What runs now."""
        return [each for each in list(self.started) if each.alive()]

    @contextmanager
    def fleet(
        self,
        spec: Serverless,
        limits: Limits | None = None,
        idle_seconds: float = 300.0,
        observe: Callable[[Observation], None] = lambda _: None,
    ) -> Iterator[Fleet]:
        """A started fleet of it."""
        engine: Engine = self
        made = Fleet(
            engine,
            self.container,
            spec,
            log=lambda _: None,
            observe=observe,
            idle_seconds=idle_seconds,
            limits=limits,
        )
        made.start()
        try:
            yield made
        finally:
            made.close()


def of(kind: str, image: str, model: Path) -> Desk:
    """The desk of an engine; raises EngineError."""
    engine = DockerEngine() if kind == "docker" else ProcessEngine()
    # Without a line for each request, which somebody would have to read meanwhile.
    return Desk(engine, Container(image, model, {"LOG_LEVEL": "warning"}))


def kill(environment: Environment) -> None:
    """End it from one moment to the next."""
    if isinstance(environment, DockerEnvironment):
        environment.container.kill()
    else:
        os.killpg(environment.process.pid, signal.SIGKILL)


def hang(environment: Environment) -> None:
    """Let it do nothing more, its port still open."""
    if isinstance(environment, DockerEnvironment):
        environment.container.pause()
    else:
        os.killpg(environment.process.pid, signal.SIGSTOP)


def fill(environment: Environment) -> None:
    """Let its memory run out."""
    assert isinstance(environment, DockerEnvironment)
    environment.container.exec_run(FILL, detach=True)


@dataclass
class Injector:
    """Breaks one environment after the other, in turns."""

    desk: Desk
    faults: dict[str, Callable[[Environment], None]]
    injected: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _broken: set[int] = field(default_factory=set)

    def inject(self) -> None:
        """One fault, into the environment that has lived longest of those unbroken."""
        from docker.errors import DockerException

        with self._lock:
            whole = [each for each in self.desk.alive() if id(each) not in self._broken]
            if not whole:
                return
            self._broken.add(id(whole[0]))
            name = list(self.faults)[sum(self.injected.values()) % len(self.faults)]
            self.injected[name] = self.injected.get(name, 0) + 1
        with suppress(DockerException, OSError):  # it has just ended by itself
            self.faults[name](whole[0])
