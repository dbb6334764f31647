"""A desk in, what becomes of thousands of calls while its environments are broken out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.rehearsal import environments
from benchmarks.rehearsal.rehearse_page import Faults
from rehearse.data_plane.limits import Limits
from rehearse.engines.docker_engine import DockerEngine
from rehearse.model import ModelFailed, PlaneError, Serverless

# The platform waits 60 seconds for a container that hangs; a fault need not take that long here.
HUNG_SECONDS = 5.0


def run(place: environments.Desk, spec: Serverless, calls: int, every: int) -> Faults:
    """As many clients as there may be environments, and a fault in one of these now and then."""
    kinds: dict[str, Callable[[environments.Environment], None]] = {
        "killed": environments.kill,
        "hung": environments.hang,
    }
    if isinstance(place.engine, DockerEngine):  # a process has all the memory of the machine
        kinds["out of memory"] = environments.fill
    injector = environments.Injector(place, kinds)
    outcomes: Counter[str] = Counter()
    unanswered, longest = 0, 0.0
    before, begun = len(place.started), time.perf_counter()

    def call(number: int) -> tuple[str, float]:
        if number and number % every == 0:
            breaking.submit(injector.inject)
        start = time.perf_counter()
        outcome = "200"
        try:
            fleet.invoke(environments.CALL)
        except PlaneError as error:
            outcome = f"{type(error).__name__}: {_words(error)}"
        except Exception as error:  # whatever it is, it is no answer of the platform
            outcome = f"no answer: {error!r}"
        return outcome, time.perf_counter() - start

    with (
        place.fleet(spec, Limits(call_seconds=HUNG_SECONDS)) as fleet,
        ThreadPoolExecutor(1) as breaking,  # so that every client is always at work
        ThreadPoolExecutor(spec.max_concurrency) as threads,
    ):
        for outcome, seconds in threads.map(call, range(calls)):
            outcomes[outcome] += 1
            unanswered += outcome.startswith("no answer")
            longest = max(longest, seconds)
    return Faults(
        calls,
        dict(injector.injected),
        dict(outcomes),
        unanswered + calls - outcomes.total(),
        longest,
        len(place.started) - before,
        time.perf_counter() - begun,
        HUNG_SECONDS,
    )


def _words(error: PlaneError) -> str:
    """The platform's, without what is different in each."""
    return error.original_message if isinstance(error, ModelFailed) else str(error)
