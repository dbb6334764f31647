"""Receive a connection without a thread, and parse what has come on it by gunicorn's parser."""

from __future__ import annotations

import select
import socket
import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from gunicorn.http import errors as http
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn

from serve.errors import (
    BadRequest,
    HeadersTooLarge,
    InternalError,
    Overloaded,
    ServeError,
    TargetTooLong,
    too_large,
)
from serve.receiving import PATIENCE_SECONDS, ReceiveBuffer

if TYPE_CHECKING:  # the port opens before Werkzeug is imported
    from serve.admission import Admission, Entry

# Up to this much of a body that was not wanted is read, so that the connection can be kept.
UNREAD_BYTES = 64 * 1024


class State(Enum):
    """What a connection without a thread waits for."""

    HEAD = 1  # headers
    BODY = 2
    UNREAD = 3  # its client to read earlier answers
    IDLE = 4  # another request
    CLOSING = 5  # its client to close it, too


class CutOff(Enum):
    """Why the worker has closed a connection that a thread was serving."""

    UNREAD = "its answer was not read, and others needed the room"
    LATE = "it was not answered and read in time"


# What a client is told of an exception of gunicorn's parser; of all others BadRequest.
PARSE_ERRORS: dict[type[Exception], type[ServeError]] = {
    http.LimitRequestLine: TargetTooLong,
    http.LimitRequestHeaders: HeadersTooLarge,
}


class BodyPending(BaseException):
    """A body is not all there: the request begins again when it is, and its thread is free.

    Not an Exception, so that neither Flask nor gunicorn answers it.
    """


class _Request(Request):  # type: ignore[misc]  # gunicorn has no type hints
    """A request whose head has been read; stricter than gunicorn where RFC 9112 is stricter."""

    headers: list[tuple[str, str]]
    _expected_100_continue: bool

    def set_body_reader(self) -> None:
        """Refuse what cannot be served, and begin to receive the body."""
        super().set_body_reader()
        names = [name for name, _ in self.headers]
        if self.version >= (1, 1) and "HOST" not in names:
            # https://www.rfc-editor.org/rfc/rfc9112#section-3.2
            raise BadRequest("the request is not valid HTTP: it has no Host header")
        codings = [value.lower() for name, value in self.headers if name == "TRANSFER-ENCODING"]
        if codings not in ([], ["chunked"]):
            raise BadRequest("Transfer-Encoding may be chunked and nothing else")
        if "UPGRADE" in names:  # may be ignored: https://www.rfc-editor.org/rfc/rfc9110#section-7.8
            self.headers = [field for field in self.headers if field[0] != "UPGRADE"]
        # gunicorn would say 100 before anybody has looked at the rest of the head.
        self.awaits_continue, self._expected_100_continue = self._expected_100_continue, False
        length = getattr(self.body.reader, "length", None)  # chunks have none
        self.unreader.sock.expect_body(length, self.unreader.take_buffered())

    def should_close(self) -> bool:
        """Return whether the connection ends with this request, as it must if its body is left."""
        received: ReceiveBuffer = self.unreader.sock
        if 0 < received.missing <= UNREAD_BYTES:
            received.fill()
        if received.missing:
            self.force_close()
        return bool(super().should_close())


class _Parser(RequestParser):  # type: ignore[misc]  # the same
    """Parses what has been received, and never waits for more."""

    mesg_class = _Request
    begin_again = False  # with the request that was parsed last

    def __next__(self) -> Any:
        if self.begin_again:
            self.begin_again = False
            return self.mesg
        return super().__next__()


class Connection(TConn):  # type: ignore[misc]  # the same
    """A connection, and how far its request has come."""

    def __init__(
        self, cfg: Any, client: socket.socket, address: Any, server: Any, admission: Admission
    ) -> None:
        super().__init__(cfg, client, address, server)
        self.initialized = self.data_ready = True  # a thread has nothing to wait for
        self.received = ReceiveBuffer(client, admission.payload)
        self.parser = _Parser(cfg, self.received, address)
        self.state = State.HEAD
        self.due = 0.0  # it may wait until then
        self.error: ServeError | None = None  # what its client is to be told
        self.cut_off: CutOff | None = None  # why the worker has closed it before its time
        self.entry = admission.entry()
        self._admission = admission

    def receive(self) -> None:
        """Receive more of a head, or of a body as far as there is room for it."""
        if self.state is not State.BODY and not self.received:  # a request begins
            self.entry = self._admission.entry()
        self.received.fill()
        if self.state is State.BODY:
            try:
                self.entry.grow(len(self.received))
            except Overloaded as error:
                self.error = error

    def receive_body(self) -> Entry:
        """Return the entry once the body is all there; raise BodyPending if that takes long.

        Raise Overloaded, RequestTimeout and PayloadTooLarge as well.
        """
        if self.error is not None:
            raise self.error
        request, received = self.parser.mesg, self.received
        if request.awaits_continue and received.missing and not received:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.awaits_continue = False
        end = time.monotonic() + PATIENCE_SECONDS
        self.entry.grow(len(received))
        while not received.has_body():
            is_quick = received.fill(wait=True)
            self.entry.grow(len(received))
            if not is_quick and not received.has_body() and time.monotonic() >= end:
                raise BodyPending
        if received.too_large:
            raise too_large()
        length = getattr(request.body.reader, "length", 0)
        if length and not received.missing:
            self.entry.body = received.take_body(length)
            request.body.reader.length = 0
        return self.entry

    def has_room_for_answer(self) -> bool:
        """Return whether its client has read enough of earlier answers for one more to be sent."""
        if self.parser.mesg is None:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT)
        return bool(poll.poll(0))

    def begin_again(self) -> None:
        """Have the request that was parsed last served again, now or later."""
        self.parser.begin_again = True

    def next_request(self) -> None:
        """Begin with the next request after an answer; some of it may be there already."""
        self.entry.leave()
        self.entry, self.error = self._admission.entry(), None
        self.received.expect_head(self.parser.unreader.take_buffered())


def refusal(error: Exception) -> ServeError:
    """Return what a client is told whose request could not be parsed; no word of it is quoted."""
    if isinstance(error, ServeError):
        return error
    if not isinstance(error, http.ParseException):
        return InternalError("internal error; the log says more")
    kind = PARSE_ERRORS.get(type(error), BadRequest)
    return kind(f"the request is not valid HTTP: {type(error).__name__}")
