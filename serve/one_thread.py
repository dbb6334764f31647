"""Run one piece of work after the other, in one thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Work = Callable[[], Any]


class OneThread:
    """Runs what is submitted, one after the other, in a thread that does not hold up the end."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Future[Any], Work]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="inference-code", daemon=True).start()

    def submit(self, work: Work) -> Future[Any]:
        """Give what will be the result of the work; it can be cancelled until its turn comes."""
        future: Future[Any] = Future()
        self._queue.put((future, work))
        return future

    def _run(self) -> None:
        while True:
            future, work = self._queue.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # sys.exit() in it must not end the thread
                future.set_exception(error)
            del future, work  # nothing of a request is kept until the next one
