"""Run calls of the owner's code one after the other, in one thread; requests wait for them."""

from __future__ import annotations

import io
import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import IO, Any

from model_handler import Usage
from model_handler.batching import StopTime
from serve.code_arguments import Context
from serve.errors import DeadlineExceeded, Overloaded
from serve.request_summary import Stages

# How often a waiting request looks whether the server is about to stop.
LOOK_SECONDS = 0.5
Work = Callable[[], Any]


@dataclass
class Call:
    """One request for the entry point, and how long its stages took."""

    body: bytes
    content_type: str
    accept: str
    context: Context
    deadline: float
    entered: float = field(default_factory=time.monotonic)
    stages: Stages = field(default_factory=Stages)
    usage: Usage = field(default_factory=Usage)  # of our model, if it was called


class WholeLines(io.TextIOBase):
    """Passes on whole lines, so that `print`, which writes a line in two, splits no other line."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._held = threading.local()

    def write(self, text: str) -> int:
        """Pass on all lines that have ended, and keep the rest until it ends."""
        whole, end, rest = (getattr(self._held, "text", "") + text).rpartition("\n")
        self._held.text = rest
        if end:
            self._stream.write(whole + end)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Do nothing: lines are passed on as soon as they end."""


class OneThread:
    """Runs work in the order in which it comes, in a thread that does not keep a process alive."""

    def __init__(self, stop: StopTime) -> None:
        self._stop = stop
        self._queue: queue.SimpleQueue[tuple[Future[Any], Work]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="inference-code", daemon=True).start()

    def run(self, work: Work, deadline: float = math.inf) -> Any:
        """Wait for work to be done, and return its result or raise what it raises.

        Raise DeadlineExceeded if it is not done in time, or Overloaded when the server stops
        before. Work that has begun goes on then; other work is dropped.
        """
        future: Future[Any] = Future()
        self._queue.put((future, work))
        while not future.done():
            left = min(deadline, self._stop.at) - time.monotonic()
            if left <= 0:
                future.cancel()
                if deadline <= self._stop.at:
                    raise DeadlineExceeded("the inference code did not finish in time")
                raise Overloaded("the server is about to stop; try again")
            wait((future,), min(left, LOOK_SECONDS))
        return future.result()

    def _serve(self) -> None:
        while True:
            future, work = self._queue.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # sys.exit() in it must not end the thread
                future.set_exception(error)
            del future, work  # nothing of a request is kept until the next one
