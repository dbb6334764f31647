"""Rows of token ids from many threads in, their logits out; rows that wait together run together.

There is no thread that collects and no timer: whoever finds the engine free runs the next batch of
whatever waits, its own rows or not, and goes on until its own are done. A lone request therefore
never waits, and a crowd shares runs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from model_handler import tokens
from model_handler.tokens import Row

if TYPE_CHECKING:
    import numpy as np

    from model_handler.engines import Engine


class Job:
    """The rows of one request: which of them wait, shortest first, and the answers so far."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.waiting = deque(sorted(range(len(rows)), key=lambda place: len(rows[place])))
        self.answers: dict[int, np.ndarray] = {}
        self.running = 0
        self.failure: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether nothing of it waits or runs."""
        return not self.waiting and not self.running


class Batcher:
    """Feeds one engine: `budget` tokens in a run, and so many `runs` at a time."""

    def __init__(self, engine: Engine, pad_id: int, budget: int, runs: int = 1) -> None:
        self._engine = engine
        self._pad_id = pad_id
        self._budget = budget
        self._jobs: deque[Job] = deque()  # with rows that wait; the first is served next
        self._free = runs
        self._changed = threading.Condition()

    def logits(self, rows: Sequence[Row]) -> np.ndarray:
        """Logits of rows, float32 (N, L), N > 0; raises what the engine raises."""
        import numpy as np

        job = Job(rows)
        with self._changed:
            self._jobs.append(job)
            while not job.done:
                if self._free and self._jobs:
                    self._lead()
                else:
                    self._changed.wait()
        if job.failure is not None:
            raise job.failure
        return np.stack([job.answers[place] for place in range(len(rows))])

    def _lead(self) -> None:
        """Run one batch, without the lock; the caller holds it."""
        batch = self._next()
        first = batch[0][0]
        rows = [job.rows[place] for job, place in batch]
        answers: list[np.ndarray] = []
        failure: Exception | None = None
        self._free -= 1
        self._changed.release()
        try:
            answers = list(self._engine.logits(*tokens.pad(rows, self._pad_id)))
        except Exception as error:
            failure = error
        finally:
            self._changed.acquire()
            self._free += 1
        for index, (job, place) in enumerate(batch):
            job.running -= 1
            if failure is None:
                job.answers[place] = answers[index]
            else:
                job.failure = failure
                job.waiting.clear()
        if first in self._jobs:
            # To the end, behind what came meanwhile: a large request does not hold up the small.
            self._jobs.remove(first)
            self._jobs.append(first)
        self._drop_served()
        self._changed.notify_all()

    def _next(self) -> list[tuple[Job, int]]:
        """The next rows of the first job, and others that wait and are nearly as long."""
        batch: list[tuple[Job, int]] = []
        first = self._jobs[0]
        shortest = longest = len(first.rows[first.waiting[0]])
        for job in self._jobs:
            while job.waiting:
                length = len(job.rows[job.waiting[0]])
                low, high = min(shortest, length), max(longest, length)
                if not tokens.fits(high, low, len(batch) + 1, self._budget):
                    break
                shortest, longest = low, high
                batch.append((job, job.waiting.popleft()))
                job.running += 1
        self._drop_served()
        return batch

    def _drop_served(self) -> None:
        """Keep the jobs with rows that wait."""
        self._jobs = deque(job for job in self._jobs if job.waiting)
