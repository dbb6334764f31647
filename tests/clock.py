"""Give tests a clock that moves only when they set it."""

from __future__ import annotations


class Clock:
    """Counts seconds from 100."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
