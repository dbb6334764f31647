"""A port of this machine in, requests to it, and an end that may be hurried, out."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping

from rehearse.engines import Answer
from rehearse.engines.http import Http

READER_SECONDS = 5.0
POLL_SECONDS = 0.02


class Served(ABC):
    """What environments of all engines have in common; `_reader` reads what they write."""

    _reader: threading.Thread

    def __init__(self, port: int) -> None:
        self.port = port
        self._http = Http(port)
        self._lock = threading.Lock()
        self._now = threading.Event()
        self._stopped = False

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> Answer:
        """Ask it; raises TimeoutError after so many seconds, another OSError if it is gone."""
        return self._http.request(method, path, body, headers, seconds)

    @abstractmethod
    def alive(self) -> bool:
        """Whether it still runs."""

    def stop(self, seconds: float = 0.0) -> None:
        """End it: ask it to, wait, and see to it."""
        if not seconds:
            self._now.set()
        with self._lock:
            if self._stopped:  # by now its number may be another's
                return
            self._stopped = True
            if seconds and self.alive():
                self._terminate()
            deadline = time.monotonic() + seconds
            while self.alive() and time.monotonic() < deadline and not self._now.wait(POLL_SECONDS):
                pass
            self._remove()
            self._reader.join(READER_SECONDS)
            self._http.close()

    @abstractmethod
    def _terminate(self) -> None:
        """Send SIGTERM; it may just have ended."""

    @abstractmethod
    def _remove(self) -> None:
        """End it now, and leave nothing of it."""
