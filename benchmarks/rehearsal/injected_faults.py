"""Break environments of a variant while thousands of calls are made, and count the answers."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from benchmarks.rehearsal.recording_engine import (
    CALL,
    NO_FREEZE,
    RecordingEngine,
    StartedContainer,
)
from rehearse.container_engines.docker_engine import DockerContainer, DockerEngine
from rehearse.errors import InvocationError, ModelError

# The platform waits 60 seconds for a container that hangs; a fault need not take that long here.
CALL_SECONDS = 5.0
# Memory of a container is limited; its /tmp lies in it, and cannot be killed.
FILL = ["sh", "-c", "cat /dev/zero >/tmp/fill"]


def run(engine: RecordingEngine, concurrency: int, calls: int, every: int) -> dict[str, float]:
    """Call with as many clients as there may be environments, and break one now and then.

    Returns the number of each outcome and of each fault, and the times.
    """
    injector = Injector(engine)
    outcomes: Counter[str] = Counter()
    longest, before, begun = 0.0, len(engine.started), time.perf_counter()

    def call(number: int) -> tuple[str, float]:
        if number and number % every == 0:
            breaking.submit(injector.inject)
        start = time.perf_counter()
        outcome = "200"
        try:
            variant.invoke(CALL)
        except InvocationError as error:
            # The platform's words, without what is different in each.
            words = error.original_message if isinstance(error, ModelError) else str(error)
            outcome = f"{type(error).__name__}: {words}"
        except Exception as error:  # whatever it is, it is no answer of the platform
            outcome = f"no answer: {error!r}"
        return outcome, time.perf_counter() - start

    with (
        engine.serving(concurrency, replace(NO_FREEZE, call_seconds=CALL_SECONDS)) as variant,
        ThreadPoolExecutor(1) as breaking,  # so that every client is always at work
        ThreadPoolExecutor(concurrency) as threads,
    ):
        for outcome, seconds in threads.map(call, range(calls)):
            outcomes[outcome] += 1
            longest = max(longest, seconds)
    answered = sum(n for outcome, n in outcomes.items() if not outcome.startswith("no answer"))
    return {
        "calls": calls,
        "unanswered": calls - answered,
        "longest": longest,
        "call_seconds": CALL_SECONDS,
        "seconds": time.perf_counter() - begun,
        "started": len(engine.started) - before,
        **{f"injected {name}": count for name, count in injector.injected.items()},
        **{f"outcome {outcome}": count for outcome, count in outcomes.most_common()},
    }


class Injector:
    """Breaks one environment after the other, in all ways by turns; for one thread."""

    def __init__(self, engine: RecordingEngine) -> None:
        self.injected: Counter[str] = Counter()
        self._engine = engine
        self._broken: set[int] = set()
        self._faults: dict[str, Callable[[StartedContainer], None]] = {"killed": kill, "hung": hang}
        if isinstance(engine.engine, DockerEngine):  # a process has all the machine's memory
            self._faults["out of memory"] = fill

    def inject(self) -> None:
        """Break the environment that has lived longest of those unbroken."""
        from docker.errors import DockerException

        whole = [each for each in self._engine.alive() if id(each) not in self._broken]
        if not whole:
            return
        self._broken.add(id(whole[0]))
        name = list(self._faults)[self.injected.total() % len(self._faults)]
        self.injected[name] += 1
        with suppress(DockerException, OSError):  # it has just ended by itself
            self._faults[name](whole[0])


def kill(environment: StartedContainer) -> None:
    """End it from one moment to the next."""
    if isinstance(environment, DockerContainer):
        environment.container.kill()
    else:
        os.killpg(environment.process.pid, signal.SIGKILL)


def hang(environment: StartedContainer) -> None:
    """Let it do nothing more, its port still open."""
    if isinstance(environment, DockerContainer):
        environment.container.pause()
    else:
        os.killpg(environment.process.pid, signal.SIGSTOP)


def fill(environment: StartedContainer) -> None:
    """Let its memory run out."""
    assert isinstance(environment, DockerContainer)
    environment.container.exec_run(FILL, detach=True)
