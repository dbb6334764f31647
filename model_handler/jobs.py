"""Keep track of the rows of one request: which of them wait, which run, and their answers."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from model_handler.tokens import Row

if TYPE_CHECKING:
    import numpy as np


class Run(NamedTuple):
    """Logits, float32 (N, L), and the seconds that they waited for the engine and took on it."""

    logits: np.ndarray
    queued: float
    computed: float


class Job:
    """The rows of one request: which of them wait, shortest first, and the answers so far."""

    def __init__(
        self, rows: Sequence[Row], entered: float, deadline: float, lock: threading.Lock
    ) -> None:
        self.rows = rows
        self.entered = entered
        self.deadline = deadline
        self.waiting = deque(sorted(range(len(rows)), key=lambda place: len(rows[place])))
        self.size = self.tokens = sum(map(len, rows))  # of all rows, of rows that wait
        self.answers: dict[int, np.ndarray] = {}
        self.running = 0
        self.failure: Exception | None = None
        self.began = math.inf  # when the first of its rows went into the engine
        self.admitted = False
        self.asleep = False
        self.changed = threading.Condition(lock)

    @property
    def done(self) -> bool:
        """Whether no row waits or runs."""
        return not self.waiting and not self.running

    def take(self) -> int:
        """Take the next row to run, and return its place."""
        self.running += 1
        place = self.waiting.popleft()
        self.tokens -= len(self.rows[place])
        return place

    def drop(self) -> None:
        """Give up the rows that wait."""
        self.waiting.clear()
        self.tokens = 0
