"""Clients that are too slow, at a server whose patience is a second instead of thirty."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import BLOG, BUNDLED, lines
from tests.contract import targets

IMPATIENT = """
from serve import settings
settings.ARRIVAL_SECONDS = 1.0
from serve import worker
worker.READ_SECONDS = 1.0
from serve.__main__ import main
main()
"""


@contextmanager
def impatient(deadline: str) -> Iterator[targets.OverHttp]:
    found = targets.OverHttp(targets.free_port())
    own = {
        "MODEL_DIR": str(BUNDLED),
        "SAGEMAKER_BIND_TO_PORT": str(found.port),
        "DEADLINE_SECONDS": deadline,
    }
    process = subprocess.Popen([sys.executable, "-c", IMPATIENT], env={**os.environ, **own})
    try:
        found.wait(process)
        yield found
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def server() -> Iterator[targets.OverHttp]:
    with impatient(deadline="1") as found:
        yield found


@pytest.fixture
def client(server: targets.OverHttp) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as found:
        yield found


def everything(client: socket.socket) -> bytes:
    """All that the server says until it hangs up."""
    found = b""
    while piece := client.recv(65536):
        found += piece
    return found


def test_a_body_that_does_not_arrive_is_408(client: socket.socket) -> None:
    client.sendall(b'POST /invocations HTTP/1.1\r\nHost: me\r\nContent-Length: 99\r\n\r\n{"text"')
    head, _, body = everything(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert json.loads(body)["code"] == "request_timeout"


def test_headers_that_do_not_arrive_end_the_connection(client: socket.socket) -> None:
    client.sendall(b"POST /invocations HTTP/1.1\r\nHost: me\r\n")
    assert everything(client) == b""


def test_an_answer_that_is_not_read_does_not_hold_a_thread(
    server: targets.OverHttp, client: socket.socket
) -> None:
    body = b'"features"\n' * 50_000  # quickly refused, line by line, in an answer of 7 MB
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wish = "X-Amzn-SageMaker-Custom-Attributes: on-bad-record=report"
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: me\r\n{wish}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    client.recv(1)
    assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3
    # The fixture's end proves the rest: a thread that could not leave would hold up the stop.


def test_a_client_that_leaves_is_not_waited_for(server: targets.OverHttp) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nHost: me\r\nContent-Length: 99\r\n\r\n{")
    assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3


def test_clients_that_do_not_hang_up_hold_up_nobody(server: targets.OverHttp) -> None:
    request = b"GET /ping HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n"
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for client in clients:
        client.sendall(request)
    for client in clients:
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    began = time.monotonic()
    assert server.request("GET", "/ping").status == 200
    assert time.monotonic() - began < 1.5
    for client in clients:
        client.close()


def test_idle_connections_do_not_keep_others_out(server: targets.OverHttp) -> None:
    with ExitStack() as opened:
        for _ in range(800):  # more than a worker takes
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        began = time.monotonic()
        assert server.request("GET", "/ping").status == 200
        assert time.monotonic() - began < 10


def test_a_request_that_is_computed_for_long_keeps_its_connection() -> None:
    """It has arrived; only its answer takes long."""
    records = (b'{"text": "number %d did not fit me at all"}\n' % n for n in range(4000))
    with (
        impatient(deadline="100") as found,
        socket.create_connection(("127.0.0.1", found.port), timeout=100) as client,
    ):
        connection = http.client.HTTPConnection("127.0.0.1", found.port)
        connection.sock = client
        for body in (b"".join(records), BLOG):
            connection.request("POST", "/invocations", body)
            response = connection.getresponse()
            assert len(lines(response.read())) == body.count(b"\n")
            assert connection.sock is client
