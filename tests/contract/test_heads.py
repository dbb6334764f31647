"""Test what is decided by the head of a request, before its body."""

from __future__ import annotations

import json
import time

import pytest

from platform_facts import INSTANCE_BODY_BYTES
from tests.conftest import lines
from tests.contract import raw, targets

RECORD = b'{"text": "fine"}\n'
ASK = "Expect: 100-continue"


def first(server: targets.OverHttp, *sent: bytes) -> targets.Answer:
    """Return the first answer, though the client may send more."""
    with raw.connect(server.port) as [client]:
        client.socket.settimeout(2)
        client.send(*sent)
        answer = client.answer()
        assert answer is not None
        return answer


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([f"Content-Length: {INSTANCE_BODY_BYTES + 1}"], 413),
        (["Content-Length: 1000", "Content-Type: image/png"], 415),
        (["Content-Length: 1000", "Content-Encoding: gzip"], 415),
        (["Content-Length: 1000", "Accept: image/png"], 406),
        (["Transfer-Encoding: chunked", "Content-Type: image/png"], 415),
    ],
)
@pytest.mark.parametrize("ask", [[], [ASK]], ids=["sends", "asks first"])
def test_a_body_that_will_be_refused_is_not_asked_nor_waited_for(
    victim: targets.OverHttp, fields: list[str], status: int, ask: list[str]
) -> None:
    answer = first(victim, raw.head("/invocations", "POST", *fields, *ask))
    assert answer.status == status, "100: the client was told to send it"
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["error"]


@pytest.mark.parametrize("path", ["/nowhere", "/ping"])
def test_a_body_that_nobody_wants_is_not_waited_for(victim: targets.OverHttp, path: str) -> None:
    answer = first(victim, raw.head(path, "POST", "Content-Length: 1000", ASK))
    assert answer.status in (404, 405)


def test_who_is_told_to_go_on_long_after_the_head_is_answered(victim: targets.OverHttp) -> None:
    with raw.connect(victim.port) as [client]:
        client.send(raw.head("/invocations", "POST", f"Content-Length: {len(RECORD)}", ASK))
        assert client.status() == 100
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)  # 100 is said once
        client.socket.settimeout(5)
        client.send(RECORD)
        line = client.socket.recv(65536)
        assert line.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("framing", ["Content-Length", "chunks"])
def test_a_body_in_pieces_is_scored_and_the_connection_kept(
    victim: targets.OverHttp, framing: str
) -> None:
    body = RECORD * 2000
    sent = raw.request(body)
    if framing == "chunks":
        parts = [body[at : at + 999] for at in range(0, len(body), 999)]
        sent = raw.head("/invocations", "POST", "Transfer-Encoding: chunked") + raw.chunks(*parts)
    with raw.connect(victim.port) as [client]:
        for _ in range(2):
            for begin in range(0, len(sent), 10_000):
                client.send(sent[begin : begin + 10_000])
                time.sleep(0.1)  # longer than a thread waits for more
            answer = client.answer()
            assert answer is not None
            assert len(lines(answer.body)) == 2000


def test_http_1_1_without_a_host_is_refused(victim: targets.OverHttp) -> None:
    # https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    answer = first(victim, b"GET /ping HTTP/1.1\r\n\r\n")
    assert answer.status == 400
    assert "Host" in json.loads(answer.body)["error"]
    assert first(victim, b"GET /ping HTTP/1.0\r\n\r\n").status == 200
    assert first(victim, b"GET /ping HTTP/1.1\r\nHost:\r\n\r\n").status == 200


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity, chunked", "deflate, chunked"])
def test_a_coded_body_is_refused(victim: targets.OverHttp, coding: str) -> None:
    (answer,) = raw.exchange(
        victim.port,
        raw.head("/invocations", "POST", f"Transfer-Encoding: {coding}") + raw.chunks(RECORD),
    )
    assert answer.status == 400
    assert "chunked" in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    "fields",
    [
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"],
        ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
        ["Connection: keep-alive, Upgrade", "Upgrade: TLS/1.0, foo"],
    ],
    ids=["h2c", "websocket", "others"],
)
def test_an_upgrade_is_ignored(victim: targets.OverHttp, fields: list[str]) -> None:
    # https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    assert first(victim, raw.head("/ping", "GET", *fields)).status == 200
    answer = first(victim, raw.request(RECORD, *fields))
    assert len(lines(answer.body)) == 1


def test_headers_of_more_than_64_kb_are_refused_though_they_do_not_end(
    victim: targets.OverHttp,
) -> None:
    fields = [f"X-{number}: {'a' * 1000}" for number in range(80)]
    sent = raw.head("/ping", "GET", *fields).removesuffix(b"\r\n\r\n")
    assert first(victim, sent).status == 431
