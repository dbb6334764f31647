"""Serve with gunicorn's worker of threads, so that slow clients do not hold up the others.

gunicorn gives a connection a thread as soon as something comes. Here the main thread receives
heads and slow bodies, however many, and a thread gets what is whole: 1,000 clients that send a few
bytes every few seconds cost no thread. Written for gunicorn 27.0.1: tests/serve/test_worker.py has
all of its names that this module, connection.py and server.py use or override.
"""

from __future__ import annotations

import errno
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import ThreadWorker

from platform_facts import STOP_SECONDS
from serve.connection import BodyPending, Connection, CutOff, State, refusal
from serve.errors import InternalError, Overloaded, RequestTimeout, response
from serve.settings import ARRIVAL_SECONDS, STILL_SECONDS

if TYPE_CHECKING:  # the port opens before Flask and Werkzeug are imported
    from serve.admission import Entry
    from serve.app import Application, Service

# After SIGTERM gunicorn waits for a worker until 5 seconds before SIGKILL (serve/server.py), and
# what is not computed 2 seconds before that is given up.
FINISH_SECONDS = STOP_SECONDS - 7
# A stopping worker waits this long for a connection that has sent nothing, or half a head.
IDLE_SECONDS = 1.0
# This long after the deadline of a request its answer must have been read.
READ_SECONDS = 30.0
# A connection that is about to be closed stays open this long for what its client still sends:
# https://www.rfc-editor.org/rfc/rfc9112#section-9.6
CLOSE_SECONDS = 2.0
# Where a request was refused for want of room, room is made by giving up bodies that have taken
# longer than this, and answers of which no client has read a piece for as long.
SLOW_SECONDS = 2.0
# How often the main thread looks for connections whose time is over.
LOOK_SECONDS = 0.5


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """Serves the Service of serve/app.py, from a loop in the main thread and a pool of threads."""

    _service: Service  # from `run` on

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wsgi: Application | None = None  # gunicorn loads it before it calls `run`
        self._watched: dict[Connection, None] = {}  # without a thread; the first has waited longest
        self._served: dict[socket.socket, Connection] = {}  # with a thread, or about to get one
        self._last_look = 0.0

    def accept(self, listener: socket.socket) -> bool:
        """Accept a connection, which gets a thread once its head is whole; return if one waited."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._make_room()
            return False
        self.nr_conns += 1
        admission = self._service.admission
        conn = Connection(self.cfg, client, address, listener.getsockname(), admission)
        self._watch(conn, State.HEAD, self.cfg.keepalive)
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        return True

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or end accepting; before the worker stops, accept whoever has come by then."""
        super().set_accept_enabled(enabled)
        if self.alive or enabled:
            return
        while self.sockets:
            listener = self.sockets.pop()
            while self.accept(listener):
                pass
            listener.close()
        for conn in self._watched:
            if conn.state is not State.BODY:
                conn.due = min(conn.due, time.monotonic() + IDLE_SECONDS)

    def _make_room(self) -> None:
        """Close the connection that has waited longest, of those without a thread."""
        if self._watched:
            self._close(next(iter(self._watched)))

    def _watch(self, conn: Connection, state: State, seconds: float) -> None:
        """Wait for something on a connection without a thread, for so long at most."""
        event = EVENT_WRITE if state is State.UNREAD else EVENT_READ
        self.poller.register(conn.sock, event, partial(self._on_event, conn))
        self._enter(conn, state, seconds)

    def _enter(self, conn: Connection, state: State, seconds: float) -> None:
        """Put a connection last in the order of those without a thread."""
        self._watched.pop(conn, None)
        self._watched[conn] = None
        if not self.alive and state is not State.BODY:
            seconds = min(seconds, IDLE_SECONDS)
        conn.state, conn.due = state, time.monotonic() + seconds

    def _unwatch(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        del self._watched[conn]

    def _on_event(self, conn: Connection, _: socket.socket) -> None:
        """Receive what has come, and give the connection a thread once there is something to do."""
        if conn not in self._watched:  # an event before this one has closed it
            return
        if conn.state is State.UNREAD:
            self._serve(conn)
        elif conn.state is State.CLOSING:
            conn.received.discard()
            if conn.received.ended:
                self._close(conn)
        else:
            began = len(conn.received) > 0
            conn.receive()
            if conn.state is State.BODY:
                if conn.error or conn.received.has_body():
                    self._serve(conn)
            elif conn.received.has_head():
                self._serve(conn)
            elif conn.received.ended:
                self._close(conn)
            elif not began:
                self._enter(conn, State.HEAD, ARRIVAL_SECONDS)

    def _serve(self, conn: Connection) -> None:
        """Give a connection a thread, which must not wait for earlier answers to be read."""
        if conn in self._watched:
            self._unwatch(conn)
        if not conn.has_room_for_answer():
            self._watch(conn, State.UNREAD, ARRIVAL_SECONDS)
            return
        self._served[conn.sock] = conn
        self.enqueue_req(conn)

    def handle(self, conn: Connection) -> Any:
        """Serve one request, in a thread; return whether another may follow, or BodyPending."""
        try:
            return super().handle(conn)
        except BodyPending as pending:
            return pending

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Return whether the connection can be used again: any body left unread is all there."""
        return keepalive and bool(conn.parser.finish_body())

    def finish_request(self, conn: Connection, fs: Future[Any]) -> None:
        """Wait for the rest of a body, another request or the end, once a thread is done."""
        del self._served[conn.sock]
        again = fs.exception() is None and fs.result()
        if isinstance(again, BodyPending):
            conn.begin_again()
            self._watch(conn, State.BODY, conn.entry.began + ARRIVAL_SECONDS - time.monotonic())
        elif not again:
            self._begin_close(conn)
        else:
            conn.next_request()
            if not conn.received:
                self._watch(conn, State.IDLE, self.cfg.keepalive)
            elif conn.received.has_head():
                self._serve(conn)
            else:
                self._watch(conn, State.HEAD, ARRIVAL_SECONDS)

    def _begin_close(self, conn: Connection) -> None:
        """Tell the client that no more will be sent, and wait until it has read the last answer."""
        conn.entry.leave()
        _shut(conn.sock, socket.SHUT_WR)
        self._watch(conn, State.CLOSING, CLOSE_SECONDS)

    def _close(self, conn: Connection) -> None:
        self._unwatch(conn)
        self.nr_conns -= 1
        conn.entry.leave()
        conn.close()

    def murder_pending(self) -> None:
        """End what takes too long; gunicorn calls this after each round of events."""
        now = time.monotonic()
        since_look = now - self._last_look
        if since_look < LOOK_SECONDS:
            return
        self._last_look = now
        for conn in self._watched if since_look > STILL_SECONDS else ():
            conn.due += since_look
        admission = self._service.admission
        crowded, admission.refused = admission.refused, False
        for conn in list(self._watched):
            if conn.due <= now and conn.state is State.BODY:
                conn.error = RequestTimeout(f"no body in {ARRIVAL_SECONDS:.0f} seconds")
                self._serve(conn)
            elif conn.due <= now:
                self._close(conn)
            elif crowded and conn.state is State.BODY and now - conn.entry.began > SLOW_SECONDS:
                conn.error = Overloaded("too much is waiting to wait for a slow body; try again")
                self._serve(conn)
        longest = ARRIVAL_SECONDS + self._service.settings.deadline_seconds + READ_SECONDS
        for conn in self._served.values():
            if crowded and conn.entry.is_unread_since(now - SLOW_SECONDS):
                self._cut_off(conn, CutOff.UNREAD)
            elif now - conn.entry.began > longest:
                self._cut_off(conn, CutOff.LATE)

    def _cut_off(self, conn: Connection, reason: CutOff) -> None:
        """Close a connection that a thread serves, which wakes the thread; say why, once."""
        if conn.cut_off is None:
            conn.cut_off = reason
            self.log.warning("a request was cut off: %s", reason.value)
            _shut(conn.sock, socket.SHUT_RDWR)

    def run(self) -> None:
        """Serve until SIGTERM."""
        assert self.wsgi is not None
        self._service = self.wsgi.service
        self._service.admission.receive = self._receive
        self._last_look = time.monotonic()
        try:
            super().run()
        finally:
            self._service.telemetry.close()

    def _receive(self, environ: dict[str, Any]) -> Entry:
        """Receive the body of a request for serve/admission.py, in the thread that serves it."""
        return self._served[environ["gunicorn.socket"]].receive_body()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop after SIGTERM, and give up what cannot be finished in time to say so."""
        if self.wsgi is not None:
            self.wsgi.service.handler.finish_by(time.monotonic() + FINISH_SECONDS)
        super().handle_exit(sig, frame)

    def handle_error(self, _req: Any, client: socket.socket, _addr: Any, exc: Exception) -> None:
        """Answer what is not HTTP in the form of every other error, and quote nothing of it."""
        error = refusal(exc)
        if isinstance(error, InternalError):
            self.log.error("internal error: %s", type(exc).__name__)
        else:
            self.log.warning("refused what is not HTTP: %s", type(exc).__name__)
        with suppress(OSError):  # nobody is there to be told
            client.sendall(response(error))


def _shut(client: socket.socket, how: int) -> None:
    """Close one direction of a connection, or both; a thread that waits on it is woken."""
    with suppress(OSError):  # it is closed already
        client.shutdown(how)
