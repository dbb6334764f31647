"""Ask questions at planned times over many connections, and see how and when each is answered.

A client that waits for an answer before it asks again asks least when the server is slow, so the
slow times hardly count: Gil Tene calls that coordinated omission. Here the time of each question
is planned beforehand, a planned question is asked late rather than never, and its latency counts
from the planned time, as in wrk2: https://github.com/giltene/wrk2. What counts
from the time a question was really sent is kept beside it, as `uncorrected`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.harness.client import Answer, AnswerError, AsyncClient
from benchmarks.harness.statistics import Latencies
from benchmarks.soak.known_answers import INFERENCE_ID, Question, Questions, fault

# The server gives up after 55 seconds, and SageMaker after 60.
ANSWER_SECONDS = 90.0
# A refused question is asked again, when the server says, for so long.
PATIENCE_SECONDS = 120.0
# After a loss, so that a server that is gone is not asked a thousand times a second.
PAUSE_SECONDS = 1.0
clock = time.perf_counter


class Traffic:
    """Asks questions over keep-alive connections, and keeps count.

    Of the questions that were `asked`, each is answered `right`, which makes so many `records`, or
    `wrong`, or it is `lost`, or one of the `errors`. The `refused` had a 503 with Retry-After; each
    of them was asked again.
    """

    def __init__(
        self, port: int, questions: Questions, lines: range, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.corrected = Latencies()
        self.uncorrected = Latencies()
        self._port = port
        self._questions = questions
        self._lines = lines
        self._patience = patience

    async def run(self, connections: int, times: Iterator[float]) -> float:
        """Ask a question at each of the times; return the seconds until the last answer."""
        began = clock()
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._connection(times))
        return clock() - began

    async def _connection(self, times: Iterator[float]) -> None:
        """Take the next time whenever this connection is free."""
        connection = AsyncClient(self._port, ANSWER_SECONDS)
        for planned in times:
            await asyncio.sleep(max(0.0, planned - clock()))
            await self._question(connection, planned)
        if await connection.leave():
            self._note("wrong", "wrong: bytes that nobody asked for")

    async def _question(self, connection: AsyncClient, planned: float) -> None:
        question = self._questions.next(self._lines)
        self.counts["asked"] += 1
        sent = clock()
        try:
            answer = await self._answer(connection, question, sent + self._patience)
        except AnswerError as error:
            self._note("lost", f"lost: {error}")
            await asyncio.sleep(PAUSE_SECONDS)
            return
        now = clock()
        self.corrected.add(now - planned)
        self.uncorrected.add(now - sent)
        if answer.status != 200:
            self._note("errors", f"status {answer.status}")
        elif why := fault(question, answer.headers, answer.body):
            self._note("wrong", f"wrong: {why}")
        else:
            self.counts.update(right=1, records=len(question.wanted))

    def _note(self, what: str, why: str) -> None:
        self.counts[what] += 1
        self.reasons[why] += 1

    async def _answer(self, connection: AsyncClient, question: Question, until: float) -> Answer:
        """Return the answer in the end: who is told to come back does so."""
        while True:
            answer = await connection.send(question.body, {INFERENCE_ID: question.mark})
            pause = answer.headers.get("retry-after")
            if answer.status != 503 or pause is None or clock() + float(pause) > until:
                return answer
            self.counts["refused"] += 1
            await asyncio.sleep(float(pause))


def evenly(rate: float, seconds: float) -> Iterator[float]:
    """Return the times of an open loop: so many a second from now on."""
    start = clock()
    return (start + number / rate for number in range(round(rate * seconds)))


def back_to_back(seconds: float) -> Iterator[float]:
    """Return the times of a closed loop: now, whenever a connection is free, until time is up."""
    end = clock() + seconds
    while (now := clock()) < end:
        yield now
