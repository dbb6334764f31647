"""Wait for SIGINT or SIGTERM, so that none is lost and everything is ended."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
NO_SIGNAL = 0


class Signals:
    """SIGINT and SIGTERM, from now on."""

    def __init__(self, reader: socket.socket, writer: socket.socket) -> None:
        self._reader, self._writer = reader, writer

    def wait(self) -> int:
        """Return the number of the signal that comes, or NO_SIGNAL after `wake`."""
        return self._reader.recv(1)[0]

    def wake(self) -> None:
        """End the wait without a signal."""
        self._writer.send(bytes([NO_SIGNAL]))

    def run(self, work: Callable[[], T], end: Callable[[], object]) -> T:
        """Return what work returns; when a signal comes, call `end`, which makes it give up.

        Raises what work raises, or KeyboardInterrupt after a signal.
        """
        with ThreadPoolExecutor(1, "work") as threads:
            future: Future[T] = threads.submit(work)
            future.add_done_callback(lambda _: self.wake())
            if self.wait() != NO_SIGNAL:
                end()
                with contextlib.suppress(Exception):  # whatever giving up ends in
                    future.result()
                raise KeyboardInterrupt
            return future.result()


@contextlib.contextmanager
def received() -> Iterator[Signals]:
    """Receive signals until the end of the block.

    The thread that receives a signal need not be the main one, and would not wake it.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)
        try:
            yield Signals(reader, writer)
        finally:
            signal.set_wakeup_fd(-1)
