"""Test when a head or a body is whole, byte by byte."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from serve.errors import HeadersTooLarge
from serve.receiving import ReceiveBuffer
from tests.contract import raw

PAYLOAD = 100


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, ReceiveBuffer]]:
    """Yield a client, and what is received from it."""
    client, server = socket.socketpair()
    with client, server:
        yield client, ReceiveBuffer(server, PAYLOAD)


def whole_after(ends: tuple[socket.socket, ReceiveBuffer], sent: bytes, body: bool) -> int | None:
    """How many bytes it takes, one by one, until something is whole; None if it never is."""
    client, received = ends
    for count in range(len(sent)):
        client.sendall(sent[count : count + 1])
        assert received.fill()
        if received.has_body() if body else received.has_head():
            return count + 1
    return None


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", 27),
        (b"GET / HTTP/1.1\r\n\r\n", 18),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", None),
        (b"\r\n\r\n", 4),
        (b"GET / HTTP/1.1\nHost: a\n\n", 15),  # refused by the parser, and not waited for
        (b"\n", 1),
    ],
)
def test_a_head(ends: tuple[socket.socket, ReceiveBuffer], sent: bytes, count: int | None) -> None:
    assert whole_after(ends, sent, body=False) == count
    assert ends[1].recv(1000) == sent[:count]


def test_a_head_that_does_not_end(ends: tuple[socket.socket, ReceiveBuffer]) -> None:
    client, received = ends
    for _ in range(9):
        client.sendall(b"a" * 8192)
        received.fill()
    assert received.has_head()
    while len(received):
        received.recv(8192)
    with pytest.raises(HeadersTooLarge):
        received.recv(8192)


@pytest.mark.parametrize("rest", [0, 3, 10])
def test_a_body_of_a_length(ends: tuple[socket.socket, ReceiveBuffer], rest: int) -> None:
    client, received = ends
    body = b"0123456789"
    received.expect_body(len(body), body[:rest])
    client.sendall(body[rest:] + b"GET /")
    while not received.has_body():
        assert received.fill()
    assert received.recv(1000) == body, "what belongs to the next request was received"
    received.expect_head(b"")
    assert received.fill()
    assert received.recv(1000) == b"GET /"


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        (raw.chunks(b"abc", b"d") + b"GET /", 19),
        (b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nGET /", 23),
        (b"0\r\n\r\n", 5),
        (b"3\r\nabc\r\n", None),
        (b"3\r\nab", None),
        (b"x\r\n", 3),
        (b"-1\r\n\r\n", 6),
        (b"\r\n", 2),
    ],
)
def test_a_body_of_chunks(
    ends: tuple[socket.socket, ReceiveBuffer], sent: bytes, count: int | None
) -> None:
    ends[1].expect_body(None, b"")
    assert whole_after(ends, sent, body=True) == count
    assert not ends[1].too_large


@pytest.mark.parametrize("size", [1, 7, PAYLOAD + 1])
def test_chunks_over_the_limit(ends: tuple[socket.socket, ReceiveBuffer], size: int) -> None:
    client, received = ends
    received.expect_body(None, b"")
    while not received.has_body():
        client.sendall(b"%x\r\n%b\r\n" % (size, size * b"a"))
        received.fill()
    assert received.too_large
    assert len(received) < 3 * PAYLOAD


def test_a_client_that_has_gone_is_not_waited_for(
    ends: tuple[socket.socket, ReceiveBuffer],
) -> None:
    client, received = ends
    received.expect_body(9, b"abc")
    client.close()
    assert not received.fill()
    assert received.has_body()
    assert received.missing == 6
