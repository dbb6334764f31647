"""gunicorn's worker of threads, which slow clients cannot hold up.

What gunicorn leaves open: a client that sends its request byte by byte, or does not read its
answer, keeps a thread; and an answer to a request that is no HTTP quotes it, in the log as well.
"""

from __future__ import annotations

import socket
import time
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import errors as http
from gunicorn.workers.gthread import TConn, ThreadWorker

from serve.errors import (
    BadRequest,
    HeadersTooLarge,
    InternalError,
    ServeError,
    TargetTooLong,
    render,
)
from serve.partings import part, shut
from serve.settings import ARRIVAL_SECONDS

# What SageMaker leaves between SIGTERM and SIGKILL is 30 seconds, of which gunicorn takes 25.
FINISH_SECONDS = 23.0
# A stopping worker waits so long on a connection that has sent nothing, or half of its headers.
IDLE_SECONDS = 1.0
# After the deadline of a request its answer must be read in this time.
LEAVE_SECONDS = 30.0
# So many idle connections, the oldest, make room where there is none left.
ROOM = 256
# The rest of a body that was refused is read for so long.
DRAIN_SECONDS = 5.0
KINDS: dict[type[Exception], type[ServeError]] = {
    http.LimitRequestLine: TargetTooLong,
    http.LimitRequestHeaders: HeadersTooLarge,
}


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """Serves the application of serve/app.py, whose extensions it knows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wsgi: Any = None  # until the application is loaded
        self._begun: dict[socket.socket, float] = {}  # requests, from their first byte
        self._heads: set[socket.socket] = set()  # those of which the headers are not all there
        self._whole: set[socket.socket] = set()  # those that are all there

    def accept(self, listener: socket.socket) -> bool:
        """Accept a connection, if one waits; it gets a thread once it has sent something."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        self.nr_conns += 1
        connection = TConn(self.cfg, client, address, listener.getsockname())
        connection.set_timeout()
        self.pending_conns.append(connection)
        ready = partial(self.on_pending_socket_readable, connection)
        self.poller.register(client, EVENT_READ, ready)
        return True

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end accepting; at the end of all, whoever has come by then is let in."""
        super().set_accept_enabled(enabled)
        if self.alive or enabled:
            return
        while self.sockets:
            listener = self.sockets.pop()
            while self.accept(listener):
                pass
            listener.close()
        for connection in self.pending_conns:  # nothing has come from them yet
            connection.timeout = min(connection.timeout, time.monotonic() + IDLE_SECONDS)

    def handle(self, conn: Any) -> Any:
        """Serve one request; the main thread watches how long it takes."""
        self._heads.add(conn.sock)
        self._begun[conn.sock] = time.monotonic()
        try:
            served = super().handle(conn)
            if served is False:
                part(conn.sock)
            return served
        finally:
            self._heads.discard(conn.sock)
            self._whole.discard(conn.sock)
            del self._begun[conn.sock]

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request whose headers have arrived."""
        self._heads.discard(conn.sock)
        if getattr(req.body.reader, "length", 0) >= self.wsgi.config["MAX_CONTENT_LENGTH"]:
            req.force_close()  # nobody will read that: the answer says that the connection ends
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Whether the connection can be used again: read the rest of a body that was refused.

        gunicorn does so up to 64 KB, and closes a connection that it has said it keeps.
        """
        end = time.monotonic() + DRAIN_SECONDS
        most = self.wsgi.config["MAX_CONTENT_LENGTH"]
        return keepalive and bool(conn.parser.finish_body(deadline=end, max_bytes=most))

    def murder_pending(self) -> None:
        """Once a second: stop listening to requests that take too long, then drop them."""
        now = time.monotonic()
        if self.nr_conns >= self.worker_connections:  # new ones are not accepted then
            for idle in (*self.pending_conns, *self.keepalived_conns)[:ROOM]:
                idle.timeout = now
            self.murder_keepalived()
        super().murder_pending()
        longest = ARRIVAL_SECONDS + self.wsgi.extensions["deadline"] + LEAVE_SECONDS
        for client, begun in list(self._begun.items()):
            hurry = not self.alive and client in self._heads
            if now - begun > longest:
                shut(client, socket.SHUT_RDWR)
            elif client not in self._whole and now - begun > (
                IDLE_SECONDS if hurry else ARRIVAL_SECONDS
            ):
                shut(client, socket.SHUT_RD)

    def run(self) -> None:
        """Serve until SIGTERM."""
        self.wsgi.extensions["arrived"] = self._whole.add
        try:
            super().run()
        finally:
            self.wsgi.extensions["telemetry"].close()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: what cannot be finished in time is given up in time to say so."""
        if self.wsgi is not None:
            self.wsgi.extensions["handler"].finish_by(time.monotonic() + FINISH_SECONDS)
        super().handle_exit(sig, frame)

    def handle_error(self, _req: Any, client: socket.socket, _addr: Any, exc: Exception) -> None:
        """Answer what is no HTTP in the form of every other error, and quote nothing of it."""
        if not isinstance(exc, http.ParseException):
            self.log.error("internal error: %s", type(exc).__name__)
            error: ServeError = InternalError("internal error; the log says more")
        else:
            self.log.warning("refused what is not HTTP: %s", type(exc).__name__)
            kind = KINDS.get(type(exc), BadRequest)
            error = kind(f"the request is not valid HTTP: {type(exc).__name__}")
        body, status = render(error)
        head = (
            f"HTTP/1.1 {status} {type(error).__name__}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + body)
        except OSError:
            self.log.debug("nobody is there to be told")
