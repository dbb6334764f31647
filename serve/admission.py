"""Requests in; those that there is room for get in, and their bodies are read; the rest is refused.

A queue without an end only moves an overload to memory and to clients that have given up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from serve.errors import BadRequest, Overloaded, RequestTimeout
from serve.settings import ARRIVAL_SECONDS

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

PIECE = 1024 * 1024
BODIES = 4


class Admission:
    """So many requests at a time, with bodies of so many bytes together."""

    def __init__(self, requests: int, payload: int) -> None:
        self.payload = payload
        self._requests = requests
        self._bytes = BODIES * payload
        self._lock = threading.Lock()

    @contextmanager
    def enter(self) -> Iterator[Entry]:
        """A place for a request until its answer is made; raises Overloaded."""
        self.take(requests=1)
        entry = Entry(self)
        try:
            yield entry
        finally:
            self.take(requests=-1, size=-entry.size)

    def take(self, requests: int = 0, size: int = 0) -> None:
        """Take places and bytes, or give them back (below 0); raises Overloaded."""
        with self._lock:
            if (requests > 0 and requests > self._requests) or (size > 0 and size > self._bytes):
                raise Overloaded("too many requests are waiting already; try again")
            self._requests -= requests
            self._bytes -= size


class Entry:
    """The place of one request, and the bytes of its body."""

    def __init__(self, admission: Admission) -> None:
        self.size = 0
        self._admission = admission

    def read(self, request: Request) -> bytes:
        """The body; raises Overloaded, RequestTimeout, BadRequest."""
        began = time.monotonic()
        stream = request.stream
        announced = request.content_length or 0
        if announced > self._admission.payload:
            raise RequestEntityTooLarge
        pieces: list[bytes] = []
        length = 0
        try:
            while piece := stream.read(PIECE):
                pieces.append(piece)
                length += len(piece)
                self._grow(length)  # what is announced takes no room before it is there
            if length >= announced:
                return b"".join(pieces)
        except ParseException as error:  # of a chunk
            raise BadRequest(f"the body is not valid HTTP: {type(error).__name__}") from None
        except (ClientDisconnected, OSError):
            pass
        if time.monotonic() - began >= ARRIVAL_SECONDS / 2:
            raise RequestTimeout(f"the body did not arrive in {ARRIVAL_SECONDS:.0f} seconds")
        raise BadRequest("the connection ended before the body did")

    def _grow(self, size: int) -> None:
        if size > self.size:
            self._admission.take(size=size - self.size)
            self.size = size
