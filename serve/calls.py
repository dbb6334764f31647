"""Run calls of your own code one after the other, in one thread; requests wait for them."""

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

# So often who waits looks whether the server is about to stop.
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
    """Writes text on by whole lines, so that `print`, which writes twice, splits no other line."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._held = threading.local()

    def write(self, text: str) -> int:
        """Keep the last line until it ends."""
        whole, end, rest = (getattr(self._held, "text", "") + text).rpartition("\n")
        self._held.text = rest
        if end:
            self._stream.write(whole + end)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Nothing to do: lines are not kept once they have ended."""


class OneThread:
    """Runs work in the order it comes in, in a thread that does not hold up the process's end."""

    def __init__(self, stop: StopTime) -> None:
        self._stop = stop
        self._queue: queue.SimpleQueue[tuple[Future[Any], Work]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="inference-code", daemon=True).start()

    def run(self, work: Work, deadline: float = math.inf) -> Any:
        """Wait for the result of work, or for what it raises; its turn may never come.

        Raises DeadlineExceeded, or Overloaded when the server stops before; work that has begun
        goes on then.
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
