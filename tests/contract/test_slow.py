"""Test slow clients at a server that waits a second for them instead of thirty."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import BLOG, BUNDLED, lines
from tests.contract import raw, targets

IMPATIENT = f"""
from serve import settings
settings.ARRIVAL_SECONDS = 1.0
from serve import worker
worker.READ_SECONDS = 1.0
{targets.SERVE}
"""


@contextmanager
def impatient(deadline: str) -> Iterator[targets.OverHttp]:
    environment = {"MODEL_DIR": str(BUNDLED), "DEADLINE_SECONDS": deadline}
    with targets.gunicorn(environment, program=IMPATIENT) as (found, process):
        found.wait(process)
        yield found
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def server() -> Iterator[targets.OverHttp]:
    with impatient(deadline="1") as found:
        yield found


def test_a_body_that_does_not_arrive_is_408(server: targets.OverHttp) -> None:
    with raw.connect(server.port) as [client]:
        client.send(raw.head("/invocations", "POST", "Content-Length: 99"), b'{"text"')
        (answer,) = client.answers()
    assert answer.status == 408
    assert json.loads(answer.body)["code"] == "request_timeout"


def test_headers_that_do_not_arrive_end_the_connection(server: targets.OverHttp) -> None:
    with raw.connect(server.port) as [client]:
        client.send(b"POST /invocations HTTP/1.1\r\nHost: me\r\n")
        assert client.answers() == []


def test_an_answer_that_is_not_read_does_not_hold_a_thread(server: targets.OverHttp) -> None:
    body = b'"features"\n' * 50_000  # quickly refused, line by line, in an answer of 7 MB
    with raw.connect(server.port) as [client]:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wish = "X-Amzn-SageMaker-Custom-Attributes: on-bad-record=report"
        client.send(raw.request(body, wish))
        client.socket.recv(1)
        assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3
    # The fixture's end proves the rest: a thread that could not leave would hold up the stop.


def test_a_client_that_leaves_is_not_waited_for(server: targets.OverHttp) -> None:
    with raw.connect(server.port) as [client]:
        client.send(raw.head("/invocations", "POST", "Content-Length: 99"), b"{")
    assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3


def test_clients_that_do_not_hang_up_hold_up_nobody(server: targets.OverHttp) -> None:
    with raw.connect(server.port, 20) as clients:
        for client in clients:
            client.send(raw.head("/ping", "GET", "Connection: close"))
        for client in clients:
            assert client.status() == 200
        began = time.monotonic()
        assert server.request("GET", "/ping").status == 200
        assert time.monotonic() - began < 1.5


def test_idle_connections_do_not_keep_others_out(server: targets.OverHttp) -> None:
    with raw.connect(server.port, 800):  # more than a worker takes
        began = time.monotonic()
        assert server.request("GET", "/ping").status == 200
        assert time.monotonic() - began < 10


def test_a_request_that_is_computed_for_long_keeps_its_connection() -> None:
    """It has arrived; only its answer takes long."""
    records = b"".join(b'{"text": "number %d did not fit me at all"}\n' % n for n in range(4000))
    with impatient(deadline="100") as found, raw.connect(found.port) as [client]:
        client.socket.settimeout(100)
        for body in (records, BLOG):
            client.send(raw.request(body))
            answer = client.answer()
            assert answer is not None
            assert len(lines(answer.body)) == body.count(b"\n")
