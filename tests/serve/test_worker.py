"""Test that every name of gunicorn's that the server overrides or uses is there.

A release of gunicorn without one of these names fails here and says which; pyproject.toml has the
releases that were tried. A use of a name that stands in no list fails as well.
"""

from __future__ import annotations

import ast
import inspect
import logging
import os
import socket
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http import errors, wsgi
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker
from gunicorn.workers.workertmp import WorkerTmp

from serve import connection, server, worker

# Methods that are ours in the place of gunicorn's, and are called by it.
OVERRIDDEN = [
    (worker.Worker, ThreadWorker, "accept set_accept_enabled handle _keepalive_after"),
    (worker.Worker, ThreadWorker, "finish_request murder_pending run handle_exit handle_error"),
    (connection._Request, Request, "set_body_reader should_close"),
    (connection._Parser, RequestParser, "__next__"),
    (server.Server, BaseApplication, "run load_config load"),
    (server._Arbiter, Arbiter, "run stop murder_workers"),
]
# Names that are used, of classes and modules.
USED = [
    (ThreadWorker, "handle_request enqueue_req murder_keepalived load_wsgi"),
    (TConn, "init close"),
    (Request, "force_close"),
    (RequestParser, "finish_body mesg_class"),
    (SocketUnreader, "take_buffered"),
    (Arbiter, "kill_workers"),
    (WorkerTmp, "notify"),
    (errors, "ParseException LimitRequestLine LimitRequestHeaders"),
]
# Names that are used of what these classes make.
MADE = [
    ("worker", "alive sockets cfg log poller nr_conns worker_connections wsgi"),
    ("conn", "sock parser initialized data_ready is_http2"),
    ("parser", "mesg unreader"),
    ("unreader", "sock"),
    ("request", "headers version body unreader must_close _expected_100_continue"),
    ("server", "cfg"),
]
LISTED = " ".join(str(row[-1]) for row in (*OVERRIDDEN, *USED, *MADE)).split()
# Classes of ours, and which of the above they are at work.
CLASSES = [
    (worker.Worker, "worker"),
    (connection.Connection, "conn"),
    (connection._Parser, "parser"),
    (connection._Request, "request"),
    (server.Server, "server"),
]


class Bare(BaseApplication):  # type: ignore[misc]  # gunicorn has no type hints
    """An application of gunicorn's that changes no setting."""

    def load_config(self) -> None:
        """Keep what gunicorn has set."""


@pytest.fixture
def made() -> Iterator[dict[str, Any]]:
    """Make a worker, a connection, a parser, a request and an application of gunicorn's."""
    cfg = Config()
    ours, client = socket.socketpair()
    with ours, client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        parser = RequestParser(cfg, ours, ("127.0.0.1", 1))
        log = logging.getLogger(__name__)
        own = ThreadWorker(1, os.getpid(), [], None, 1, cfg, log)
        own.wsgi = None  # made by load_wsgi
        yield {
            "worker": own,
            "conn": TConn(cfg, ours, ("127.0.0.1", 1), ("127.0.0.1", 2)),
            "parser": parser,
            "request": next(parser),
            "unreader": parser.unreader,
            "server": Bare(),
        }
        own.tmp.close()


def named(each: object) -> str:
    return each if isinstance(each, str) else getattr(each, "__name__", str(each))


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [(ours, theirs, name) for ours, theirs, names in OVERRIDDEN for name in names.split()],
    ids=named,
)
def test_what_is_overridden_is_there_and_takes_the_same(ours: Any, theirs: Any, name: str) -> None:
    assert hasattr(theirs, name), f"gunicorn has no {theirs.__name__}.{name} any more"
    wanted = list(inspect.signature(getattr(theirs, name)).parameters)
    assert len(inspect.signature(getattr(ours, name)).parameters) == len(wanted)


@pytest.mark.parametrize(
    ("owner", "name"),
    [(owner, name) for owner, names in USED for name in names.split()],
    ids=named,
)
def test_what_is_used_is_there(owner: Any, name: str) -> None:
    assert hasattr(owner, name), f"gunicorn has no {owner.__name__}.{name} any more"


@pytest.mark.parametrize(
    ("thing", "name"), [(thing, name) for thing, names in MADE for name in names.split()]
)
def test_what_is_used_of_things_is_there(made: dict[str, Any], thing: str, name: str) -> None:
    assert hasattr(made[thing], name), f"a {thing} of gunicorn has no {name} any more"


@pytest.mark.parametrize(("ours", "thing"), CLASSES, ids=named)
def test_all_that_a_class_of_ours_takes_from_gunicorn_is_in_a_list(
    made: dict[str, Any], ours: type, thing: str
) -> None:
    # What it overrides, and `self.name` and `super().name` of what gunicorn's own class has.
    written = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(ours))))
    names = set(vars(ours)) | {
        node.attr
        for node in written
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "super()")
    }
    taken = {name for name in names - set(dir(object)) if hasattr(made[thing], name)}
    assert taken - {"__module__"} <= set(LISTED)


def test_a_parser_and_its_request_share_the_source_of_bytes(made: dict[str, Any]) -> None:
    parser, request = made["parser"], made["request"]
    assert parser.mesg is request
    assert parser.unreader is request.unreader
    assert isinstance(parser.unreader.sock, socket.socket)
    assert isinstance(request.body, Body)
    assert isinstance(request.body.reader, LengthReader)
    assert request.body.reader.length == 9


def test_an_environ_names_the_socket_of_its_request(made: dict[str, Any]) -> None:
    conn, request = made["conn"], made["request"]
    _, environ = wsgi.create(request, conn.sock, conn.client, conn.server, conn.cfg)
    assert environ["gunicorn.socket"] is conn.sock
