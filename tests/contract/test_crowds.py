"""Test that a thousand clients that are slow at the same time delay no others."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from platform_facts import MEGABYTE
from tests.conftest import BLOG, BUNDLED
from tests.contract import raw, targets
from tests.contract.test_stop import children, threads

CROWD = 1000
RECORD = b'{"text": "fine"}\n'


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that the server writes its log to."""
    return tmp_path_factory.mktemp("crowds") / "log"


@pytest.fixture(scope="module")
def server(log: Path) -> Iterator[targets.OverHttp]:
    """Start a server that may open 1,024 files, as on the platform; this process may open more."""
    environment = {"MODEL_DIR": str(BUNDLED), "MAX_PAYLOAD_MB": "1"}
    with log.open("wb") as file, targets.gunicorn(environment, file) as (found, process):
        found.wait(process)
        found.request("POST", "/invocations", BLOG)
        (worker,) = children(process.pid)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (1024, 1024))
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
        yield found
        assert threads(process.pid) < 200, "slow clients have been given threads"
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def crowd(server: targets.OverHttp, begin: bytes, count: int = CROWD) -> Iterator[list[raw.Raw]]:
    """Connect clients that send the beginning of a request, 500 of them in a second."""
    with raw.connect(server.port, count) as clients:
        for number, client in enumerate(clients):
            client.send(begin)
            if number % 50 == 49:
                time.sleep(0.1)
        yield clients


def asked(server: targets.OverHttp, method: str, path: str, body: bytes) -> tuple[int, float]:
    """Return the status of a request on a new connection, and its seconds."""
    began = time.monotonic()
    status = server.request(method, path, body).status
    return status, time.monotonic() - began


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /ping HTTP/1.1\r\nHost: me\r\n", b"X-A: b\r\n"),
        (raw.head("/invocations", "POST", "Content-Length: 4096"), b"aaa"),
        (raw.head("/invocations", "POST", "Transfer-Encoding: chunked"), b"1\r\na\r\n"),
        (raw.head("/invocations", "POST", "Content-Length: 4096", "Accept: a/b"), b"aaa"),
    ],
    ids=["heads", "bodies", "chunks", "bodies that are refused"],
)
def test_a_thousand_slow_clients_hold_up_nobody(
    server: targets.OverHttp, begin: bytes, more: bytes
) -> None:
    with crowd(server, begin) as clients:
        for _ in range(5):
            for method, path, body in (("GET", "/ping", b""), ("POST", "/invocations", RECORD)):
                status, seconds = asked(server, method, path, body)
                assert status == 200
                assert seconds < 1
            for client in clients:
                client.send(more)


def test_slow_bodies_make_room_when_all_of_it_is_theirs(server: targets.OverHttp) -> None:
    """A client that sends all of a body at once is refused for some seconds, not for thirty."""
    head = raw.head("/invocations", "POST", f"Content-Length: {MEGABYTE}")
    whole = RECORD.ljust(MEGABYTE)
    with crowd(server, head + b" " * (MEGABYTE // 2), 8) as clients:
        time.sleep(1)  # until all of that has been received
        end = time.monotonic() + 8
        assert asked(server, "POST", "/invocations", whole)[0] == 503
        while (found := asked(server, "POST", "/invocations", whole)[0]) == 503:
            assert asked(server, "GET", "/ping", b"") < (201, 1)
            assert time.monotonic() < end
            time.sleep(0.2)
        assert found == 200
        told = [client.answer() for client in clients]
    assert {answer.status for answer in told if answer is not None} == {503}


def test_answers_that_nobody_reads_count_until_they_make_room(
    server: targets.OverHttp, log: Path
) -> None:
    lines = b'"features"\n' * 90_000  # an answer of some 12 MB, where bodies may hold 4 together
    wish = "X-Amzn-SageMaker-Custom-Attributes: on-bad-record=report"
    with raw.connect(server.port) as [deaf]:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.send(raw.request(lines, wish))
        deaf.socket.recv(1)
        answer = server.request("POST", "/invocations", RECORD)
        assert (answer.status, json.loads(answer.body)["code"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert server.request("GET", "/ping").status == 200
        end = time.monotonic() + 6
        while server.request("POST", "/invocations", RECORD).status == 503:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert server.request("POST", "/invocations", RECORD).status == 200
    assert log.read_text().count("a request was cut off: its answer was not read") == 1


def test_an_answer_that_is_read_slowly_is_not_cut(server: targets.OverHttp) -> None:
    lines = b'"features"\n' * 30_000
    wish = "X-Amzn-SageMaker-Custom-Attributes: on-bad-record=report"
    with raw.connect(server.port) as [client]:
        client.send(raw.request(lines, wish, "Connection: close"))
        count = 0
        while piece := client.socket.recv(200_000):
            count += piece.count(b"\n")
            asked(server, "POST", "/invocations", RECORD)  # 200 or 503
            time.sleep(0.1)
        assert count > 30_000


def test_clients_that_send_requests_and_read_no_answer_hold_no_threads() -> None:
    """Such a thread would hold up the stop of the server for as long as there is time for it."""
    with targets.gunicorn({"MODEL_DIR": str(BUNDLED)}) as (server, process), ExitStack() as opened:
        server.wait(process)
        for _ in range(2):
            client = opened.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", server.port))
            client.settimeout(2)  # by then the answers, of 2 KB, have filled all buffers
            with pytest.raises(TimeoutError):
                client.sendall(raw.request(b"1\n" * 40) * 100_000)
        assert asked(server, "GET", "/ping", b"") < (201, 1)
        process.terminate()
        assert process.wait(8) == 0
