"""Runs of an engine in, the tokens that it does in a second out."""

from __future__ import annotations

import time
from collections.abc import Callable

# Less than this tells nothing: the first runs of a process are slow.
ENOUGH_SECONDS = 1.0
# After so much computing, what was measured before counts half.
WINDOW_SECONDS = 30.0


class Pace:
    """Measures while any runs are under way. Not safe by itself: its owner has a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running = 0
        self._since = 0.0  # when the number of runs last changed
        self._seconds = 0.0
        self._tokens = 0.0

    @property
    def rate(self) -> float | None:
        """Tokens in a second; None until enough was measured."""
        return self._tokens / self._seconds if self._seconds >= ENOUGH_SECONDS else None

    def begin(self) -> None:
        """A run begins."""
        self._change(+1)

    def end(self, tokens: int) -> None:
        """A run of so many tokens has ended."""
        self._change(-1)
        self._tokens += tokens
        if self._seconds > WINDOW_SECONDS:
            self._seconds /= 2
            self._tokens /= 2

    def _change(self, runs: int) -> None:
        now = self._clock()
        if self._running:
            self._seconds += now - self._since
        self._since = now
        self._running += runs
