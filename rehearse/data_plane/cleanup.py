"""End every thread, container and folder of a rehearsal when it ends."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rehearse.data_plane import artifacts
from rehearse.errors import RehearsalEnds
from rehearse.owner import is_dead, owner, read_mark

# Of the folder of a rehearsal, and the file in it that says whose it is.
PREFIX = "rehearse-"
OWNER = "owner"


def remove_leftover_folders() -> int:
    """Remove the folders of rehearsals that were killed; return how many there were."""
    removed = 0
    for mark in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{OWNER}"):
        with contextlib.suppress(OSError):  # of another user, or it has just gone
            if is_dead(read_mark(mark)):
                artifacts.remove(mark.parent)
                removed += 1
    return removed


class Cleanup:
    """What has to be ended, for any number of threads; close() ends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._closers: set[Callable[[], None]] = set()
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        (self._folder / OWNER).write_text(owner())
        self._closed = False

    def new_folder(self) -> Path:
        """Make an empty folder, which is removed when the rehearsal ends."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def in_background(self, work: Callable[[], None]) -> None:
        """Run something in a thread that close() waits for; raise RehearsalEnds after that."""

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, daemon=True)
        with self._lock:
            if self._closed:
                raise RehearsalEnds("the rehearsal ends")
            self._threads.add(thread)
            thread.start()

    @contextlib.contextmanager
    def closing(self, close: Callable[[], None], *, keep: bool = False) -> Iterator[None]:
        """Close something after the block, or before if the rehearsal ends meanwhile.

        With `keep`, it goes on after a block that raises nothing, until the rehearsal ends.
        """
        with self._lock:
            closed = self._closed
            self._closers.add(close)
        done = False
        try:
            if closed:
                raise RehearsalEnds("the rehearsal ends")
            yield
            done = True
        finally:
            if not (done and keep):
                self.close_all([close])

    def close(self) -> None:
        """End everything and remove what was unpacked. Safe to call twice."""
        with self._lock:
            self._closed = True
            closers, threads = list(self._closers), list(self._threads)
        self.close_all(closers)
        for thread in threads:
            thread.join()
        artifacts.remove(self._folder)

    def close_all(self, closers: list[Callable[[], None]]) -> None:
        """Close all at the same time, for each may take as long as its last request."""
        with self._lock:
            self._closers.difference_update(closers)
        if closers:
            with ThreadPoolExecutor(len(closers)) as pool:
                list(pool.map(lambda close: close(), closers))
