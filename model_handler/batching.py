"""Run rows of token ids from many threads together, and refuse what cannot be done in time.

There is no thread that collects and no timer: whoever finds the engine free runs the next batch of
whatever waits, its own rows or not, and goes on until its own are done. A lone request therefore
never waits, and a crowd shares runs.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from model_handler import tokens
from model_handler.errors import BusyError, LateError, TooManyError
from model_handler.jobs import Job, Run
from model_handler.pace import MARGIN, Pace
from model_handler.tokens import Row

if TYPE_CHECKING:
    import numpy as np

    from model_handler.engines import Engine, Model

# Tokens in one run of the engine, for each of its threads. Measured by `benchmarks batches`: fewer
# leave the CPU's vector units waiting for weights, more push activations out of its cache.
BUDGET = 256
# To join a run, a row is padded by this many tokens at most: a run of its own costs as much.
PADDING = 8
LONGEST_SLEEP_SECONDS = 60.0


class StopTime:
    """When the server stops, by the clock that deadlines are told by: never, until `at` is set."""

    def __init__(self) -> None:
        self.at = math.inf


class Batcher:
    """Feeds one engine with runs of `budget` tokens at most, and as many `runs` at a time.

    Rows are padded by `padding` tokens at most to join a run. What is not done by `stop` is given
    up.
    """

    def __init__(
        self,
        engine: Engine,
        pad_id: int,
        budget: int,
        runs: int = 1,
        padding: int = PADDING,
        clock: Callable[[], float] = time.monotonic,
        stop: StopTime | None = None,
    ) -> None:
        self.stop = stop or StopTime()
        self.settled = True  # until then runs are slower than later ones, and are not measured
        self._engine = engine
        self._pad_id = pad_id
        self._budget = budget
        self._padding = padding
        self._clock = clock
        self._pace = Pace(clock)
        self._jobs: deque[Job] = deque()  # with rows that wait; the first is served next
        self._free = runs
        self._lock = threading.Lock()

    @classmethod
    def for_model(
        cls,
        model: Model,
        threads: int,
        clock: Callable[[], float] = time.monotonic,
        stop: StopTime | None = None,
    ) -> Batcher:
        """Make the batcher for a model whose engine computes with so many threads."""
        padding = 0 if model.equal_lengths else PADDING
        budget = BUDGET * threads
        return cls(model.engine, model.pad_id, budget, threads, padding, clock, stop)

    def affordable(self, deadline: float) -> float:
        """Return how many tokens can be done by the deadline; infinite if the pace is unknown."""
        rate = self._pace.rate
        return math.inf if rate is None else max(0.0, rate * (deadline - self._clock()))

    def check(self, deadline: float) -> None:
        """Raise LateError once the deadline has passed, BusyError once the server has to stop."""
        now = self._clock()
        if now >= deadline:
            raise LateError("the deadline has passed")
        if now >= self.stop.at:
            raise BusyError("the server stops", 1.0)

    def logits(self, rows: Sequence[Row], deadline: float = math.inf) -> Run:
        """Compute the logits of rows, N > 0; raises what the engine raises, or a DeadlineError."""
        import numpy as np

        job = Job(rows, self._clock(), deadline, self._lock)
        with self._lock:
            self._jobs.append(job)
            try:
                while not job.done:
                    self._admit(job)
                    if self._free and self._jobs:
                        self._lead()
                    else:
                        self._sleep(job)
            finally:
                job.drop()
                self._drop_served()
                self._wake_one()
        if job.failure is not None:
            raise job.failure
        began = min(job.began, self._clock())
        answers = np.stack([job.answers[place] for place in range(len(rows))])
        return Run(answers, began - job.entered, self._clock() - began)

    def _admit(self, job: Job) -> None:
        """Raise a DeadlineError if the job is late or, by the pace, is sure to be."""
        self.check(job.deadline)
        rate = self._pace.rate
        if rate is None or job.admitted:
            return
        job.admitted = True
        alone = rate * (job.deadline - job.entered)
        if job.size > alone * MARGIN:
            raise TooManyError(alone)
        # Jobs take turns, so of a larger one only as much comes first as this one has itself.
        ahead = sum(min(other.tokens, job.tokens) for other in self._jobs if other is not job)
        seconds = (job.tokens + ahead) / rate
        left = job.deadline - self._clock()
        if ahead and seconds > left * MARGIN:
            raise BusyError("too many texts wait", seconds - left)

    def _lead(self) -> None:
        """Run one batch, without the lock; the caller holds it."""
        batch = self._next()
        first = batch[0][0]
        rows = [job.rows[place] for job, place in batch]
        work = _work(rows)
        # Small runs take longer for each token, unlike those of a body of many records.
        typical = self.settled and 2 * work >= self._budget
        answers: list[np.ndarray] = []
        failure: Exception | None = None
        self._free -= 1
        self._wake_one()
        if typical:
            self._pace.begin()
        self._lock.release()
        try:
            answers = list(self._engine.logits(tokens.pad(rows, self._pad_id)))
        except Exception as error:
            failure = error
        finally:
            self._lock.acquire()
            self._free += 1
            if typical:
                self._pace.end(work)
        for index, (job, place) in enumerate(batch):
            job.running -= 1
            if failure is None:
                job.answers[place] = answers[index]
            else:
                job.failure = failure
                job.drop()
        if first in self._jobs:
            # To the end, behind what came meanwhile: a large request does not hold up the small.
            self._jobs.remove(first)
            self._jobs.append(first)
        self._drop_served()
        for job in {job for job, _ in batch if job.done}:
            self._wake(job)

    def _next(self) -> list[tuple[Job, int]]:
        """Take the next rows of the first job, and others that wait and are nearly as long."""
        batch: list[tuple[Job, int]] = []
        first = self._jobs[0]
        shortest = longest = len(first.rows[first.waiting[0]])
        now = self._clock()
        for job in self._jobs:
            while job.waiting:
                length = len(job.rows[job.waiting[0]])
                low, high = min(shortest, length), max(longest, length)
                if not self._fits(low, high, len(batch) + 1):
                    break
                shortest, longest = low, high
                batch.append((job, job.take()))
                job.began = min(job.began, now)
        self._drop_served()
        return batch

    def _fits(self, shortest: int, longest: int, count: int) -> bool:
        """Return whether `count` rows of these lengths may go through the engine in one run."""
        near = longest - shortest <= self._padding
        return count == 1 or (near and longest * count <= self._budget)

    def _sleep(self, job: Job) -> None:
        """Sleep until the job is done, it is its turn to lead, or it is late."""
        job.asleep = True
        until = min(job.deadline, self.stop.at) - self._clock()
        job.changed.wait(min(LONGEST_SLEEP_SECONDS, max(0.0, until)))
        job.asleep = False

    def _wake(self, job: Job) -> None:
        job.asleep = False
        job.changed.notify()

    def _wake_one(self) -> None:
        """Wake one that sleeps, to lead the next run; not all of them need look for it."""
        if self._free:
            sleeper = next((job for job in self._jobs if job.asleep), None)
            if sleeper is not None:
                self._wake(sleeper)

    def _drop_served(self) -> None:
        """Keep the jobs with rows that wait."""
        self._jobs = deque(job for job in self._jobs if job.waiting)


def _work(rows: Sequence[Row]) -> int:
    """Return what a run of rows costs, in tokens: with padding, and with what any run costs."""
    return max(map(len, rows)) * len(rows) + PADDING
