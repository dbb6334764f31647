"""Threads, folders and what has to be stopped in; none of it left when the rehearsal ends."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rehearse.data_plane import artifacts


class Lifetime:
    """From the first folder to close()."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._closers: set[Callable[[], None]] = set()
        self._folder = Path(tempfile.mkdtemp(prefix="rehearse-"))
        self._closed = False

    def folder(self) -> Path:
        """A new empty folder, gone when the rehearsal ends."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def background(self, work: Callable[[], None]) -> None:
        """Run something in a thread that close() waits for; raises RuntimeError after that."""

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, daemon=True)
        with self._lock:
            if self._closed:
                raise RuntimeError("the rehearsal ends")
            self._threads.add(thread)
            thread.start()

    @contextlib.contextmanager
    def closing(self, close: Callable[[], None], *, kept: bool = False) -> Iterator[None]:
        """Close something after the block, or before if the rehearsal ends meanwhile.

        What is `kept` goes on after a block that raises nothing, until the rehearsal ends.
        """
        with self._lock:
            closed = self._closed
            self._closers.add(close)
        done = False
        try:
            if closed:
                raise RuntimeError("the rehearsal ends")
            yield
            done = True
        finally:
            if not (done and kept):
                self.stop([close])

    def close(self) -> None:
        """Stop everything and remove what was unpacked. Safe to call twice."""
        with self._lock:
            self._closed = True
            closers, threads = list(self._closers), list(self._threads)
        self.stop(closers)
        for thread in threads:
            thread.join()
        artifacts.remove(self._folder)

    def stop(self, closers: list[Callable[[], None]]) -> None:
        """Close all at the same time, for each may take as long as its last request."""
        with self._lock:
            self._closers.difference_update(closers)
        if closers:
            with ThreadPoolExecutor(len(closers)) as pool:
                list(pool.map(lambda close: close(), closers))
