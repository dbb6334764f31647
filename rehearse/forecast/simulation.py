"""Simulate the environments of a serverless variant, event by event, as serverless.py scales them.

A request goes to the environment that was used last. Where all are busy another one starts, up to
MaxConcurrency; more requests than that are throttled. An environment without requests is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import simpy

    from rehearse.forecast.profiles import Times

# A progress bar moves after so many requests.
CHUNK = 20_000


@dataclass(frozen=True)
class Outcome:
    """What became of the requests. Arrays have a value for each of the N that were answered."""

    latency_ms: np.ndarray  # float64
    model_ms: np.ndarray  # float64; what is billed
    arrived: np.ndarray  # float64; seconds
    environments: np.ndarray  # int64; how many there were then, busy or idle
    cold: int
    throttled: int


def simulate(
    arrivals: np.ndarray,
    times: Times,
    max_concurrency: int,
    idle_seconds: float,
    random: np.random.Generator,
    count: Callable[[int], object] = lambda _: None,
) -> Outcome:
    """Run requests that arrive at those seconds, float64 (N,), rising.

    `count` is called with how many more requests have arrived.
    """
    import simpy

    environment = simpy.Environment()
    draws = _draws(times, len(arrivals), random)
    variant = _Variant(environment, draws, max_concurrency, idle_seconds)
    environment.process(variant.serve(arrivals.tolist(), count))
    environment.run()
    return variant.outcome()


def _draws(times: Times, requests: int, random: np.random.Generator) -> dict[str, list[float]]:
    """Draw each request's times at random from those measured."""
    fields = {name: getattr(times, name) for name in ("setup", "first", "warm")}
    return {name: random.choice(values, requests).tolist() for name, values in fields.items()}


class _Variant:
    """The environments of the simulation, and what they have answered."""

    def __init__(
        self,
        environment: simpy.Environment,
        draws: dict[str, list[float]],
        max_concurrency: int,
        idle_seconds: float,
    ) -> None:
        self._environment = environment
        self._draws = draws
        self._max_concurrency = max_concurrency
        self._idle_seconds = idle_seconds
        self._busy = 0
        self._idle: deque[float] = deque()  # when each idle environment was last used, rising
        self._arrived: list[float] = []
        self._environments: list[int] = []
        self._latency: list[float] = []
        self._model: list[float] = []
        self._cold = self._throttled = 0

    def serve(
        self, arrivals: list[float], count: Callable[[int], object]
    ) -> Generator[simpy.Event, Any, None]:
        """Take each request at its time."""
        environment = self._environment
        for number, at in enumerate(arrivals):
            yield environment.timeout(at - environment.now)
            if self._busy >= self._max_concurrency:
                self._throttled += 1
            else:
                self._answer(number)
            if number % CHUNK == CHUNK - 1:
                count(CHUNK)
        count(len(arrivals) % CHUNK)

    def _answer(self, number: int) -> None:
        """Answer a request in an idle environment, or in a new one."""
        environment, draws, idle = self._environment, self._draws, self._idle
        while idle and environment.now - idle[0] > self._idle_seconds:
            idle.popleft()  # it has been dropped meanwhile
        if idle:
            idle.pop()
            setup, model = 0.0, draws["warm"][number]
        else:
            self._cold += 1
            setup, model = draws["setup"][number], draws["first"][number]
        self._busy += 1
        self._arrived.append(environment.now)
        self._environments.append(self._busy + len(idle))
        latency = setup + model
        self._latency.append(latency)
        self._model.append(model)
        done = environment.timeout(latency / 1e3)
        done.callbacks.append(self._done)

    def _done(self, _: simpy.Event) -> None:
        self._busy -= 1
        self._idle.append(self._environment.now)

    def outcome(self) -> Outcome:
        """Return what has become of all requests."""
        import numpy as np

        return Outcome(
            np.array(self._latency),
            np.array(self._model),
            np.array(self._arrived),
            np.array(self._environments, np.int64),
            self._cold,
            self._throttled,
        )
