"""Limit how many requests and bytes are in memory at a time; refuse what is beyond that.

A queue without a limit would only move an overload into memory, and compute answers for clients
that have given up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from platform_facts import MEGABYTE
from serve.errors import BadRequest, Overloaded, too_large

if TYPE_CHECKING:
    from types import TracebackType

    from werkzeug.wrappers import Request

PIECE = MEGABYTE
# What is sent of an answer at a time: after each piece it shows whether the client reads it.
ANSWER_PIECE = 256 * 1024
# Bodies of the largest size for which there is room together.
BODIES = 4


class Admission:
    """Room for `requests` at a time, and for the bytes of four bodies of `payload` each."""

    def __init__(self, requests: int, payload: int) -> None:
        self.payload = payload
        # How the body of a request is received, given its WSGI environ: serve/worker.py sets this.
        # Without such a server `Entry.read` reads the body.
        self.receive: Callable[[dict[str, Any]], Entry] = lambda _: self.entry()
        self.refused = False  # a request was, for want of room, since the worker last looked
        self._requests = requests
        self._bytes = BODIES * payload
        self._lock = threading.Lock()

    def admit(self, request: Request) -> Entry:
        """Return the entry of a request once its body has arrived.

        Raise PayloadTooLarge at once for a body whose announced length is over the limit, and what
        `receive` raises.
        """
        if (request.content_length or 0) > self.payload:
            raise too_large()
        return self.receive(request.environ)

    def entry(self) -> Entry:
        """Return the entry of a request that begins now, of which nothing counts yet."""
        return Entry(self)

    def take(self, requests: int = 0, size: int = 0) -> None:
        """Take places and bytes, or give them back (below 0); raise Overloaded if none are left."""
        with self._lock:
            if (requests > 0 and requests > self._requests) or (size > 0 and size > self._bytes):
                self.refused = True
                raise Overloaded("too many requests are waiting already; try again")
            self._requests -= requests
            self._bytes -= size

    def exchange(self, old: int, new: int) -> None:
        """Count `new` bytes in the place of `old`: they are in memory, so nothing is refused."""
        with self._lock:
            self._bytes += old - new


class Entry:
    """What one request takes up: bytes of its body, a place while it is scored, then its answer.

    `with` gives all of it back after an error; otherwise `leave` does, once the answer is sent.
    """

    def __init__(self, admission: Admission) -> None:
        self.began = time.monotonic()  # when the first byte of the request came
        self.body: bytes | None = None  # if the worker has received it
        self._moved: float | None = None  # when a piece of the answer was last taken
        self._size = 0
        self._places = 0
        self._admission = admission

    def __enter__(self) -> Entry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None:
            self.leave()

    def grow(self, size: int) -> None:
        """Count the bytes of a body that have arrived, `size` by now; raise Overloaded."""
        if size > self._size:
            self._admission.take(size=size - self._size)
            self._size = size

    def read(self, request: Request) -> bytes:
        """Return the body; raise Overloaded, BadRequest or RequestEntityTooLarge."""
        if self.body is not None:
            body, self.body = self.body, None
            return body
        pieces: list[bytes] = []
        length = 0
        try:
            while piece := request.stream.read(PIECE):
                pieces.append(piece)
                length += len(piece)
                self.grow(length)
            if length >= (request.content_length or 0):
                return b"".join(pieces)
        except ParseException as error:  # of a chunk
            raise BadRequest(f"the body is not valid HTTP: {type(error).__name__}") from None
        except (ClientDisconnected, OSError):
            pass
        raise BadRequest("the connection ended before the body did")

    def take_place(self) -> None:
        """Take a place among the requests that are scored or wait for it; raise Overloaded."""
        self._admission.take(requests=1)
        self._places = 1

    def send(self, answer: bytes) -> Iterator[bytes]:
        """Yield an answer in pieces, and count it instead of the body until `leave`."""
        self._admission.exchange(self._size, len(answer))
        self._size = len(answer)
        return self._pieces(answer)

    def _pieces(self, answer: bytes) -> Iterator[bytes]:
        for start in range(0, len(answer), ANSWER_PIECE):
            self._moved = time.monotonic()
            yield answer[start : start + ANSWER_PIECE]

    def is_unread_since(self, then: float) -> bool:
        """Return whether an answer is being sent of which no piece has been taken since then."""
        return self._moved is not None and self._moved < then

    def leave(self) -> None:
        """Give everything back; to do so twice is harmless."""
        self._admission.take(requests=-self._places, size=-self._size)
        self._places = self._size = 0
        self._moved = None
