"""Measure how many tokens an engine does in a second, so that what is too much is refused early."""

from __future__ import annotations

import time
from collections.abc import Callable

# What was measured for less time than this is too little to go by.
ENOUGH_SECONDS = 1.0
# After this time, what was measured before counts half: other load comes and goes.
HALF_LIFE_SECONDS = 10.0
# A pace is believed to be wrong by this factor at most: nothing is refused that could be done in
# time at MARGIN times the pace. Long rows cost more for each token than short ones, for example.
MARGIN = 1.5


class Pace:
    """Measures while any runs are under way. Not safe for threads: its owner holds a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running = 0
        self._since = clock()  # when the number of runs last changed
        self._seconds = 0.0
        self._tokens = 0.0

    @property
    def rate(self) -> float | None:
        """Tokens in a second; None as long as too little was measured lately."""
        seconds = self._seconds * self._share(self._clock())
        return self._tokens / self._seconds if seconds >= ENOUGH_SECONDS else None

    def begin(self) -> None:
        """Note that a run begins."""
        self._change(+1)

    def end(self, tokens: int) -> None:
        """Note that a run of so many tokens has ended."""
        self._change(-1)
        self._tokens += tokens

    def _change(self, runs: int) -> None:
        now = self._clock()
        share = self._share(now)
        self._tokens *= share
        self._seconds = self._seconds * share + (now - self._since if self._running else 0.0)
        self._since = now
        self._running += runs

    def _share(self, now: float) -> float:
        """Return the share of what was measured before that still counts."""
        return float(0.5 ** ((now - self._since) / HALF_LIFE_SECONDS))
