"""Test that a request whose end can be read in two ways is refused, or is answered once.

Else a proxy and this server could disagree on where the next request begins:
https://www.rfc-editor.org/rfc/rfc9112#section-11.2
"""

from __future__ import annotations

import json

import pytest

from tests.contract import raw, targets
from tests.contract.conftest import SECRET

RECORD = b'{"text": "fine"}\n'
CHUNKS = raw.chunks(RECORD)
HIDDEN = raw.head("/hidden", "GET")  # would be answered with 404
POST = b"POST /invocations HTTP/1.1\r\nHost: test\r\n"
LENGTH = b"Content-Length: %d" % len(RECORD)
CODED = b"Transfer-Encoding: chunked"
END = b"\r\n\r\n"

# Each is followed by HIDDEN, which one reading takes for a part of the body.
SHAPES = {
    "a length and chunks": POST + b"Content-Length: 4\r\n" + CODED + END + CHUNKS,
    "chunks and a length": POST + CODED + b"\r\nContent-Length: 99" + END + CHUNKS,
    "two lengths": POST + LENGTH + b"\r\nContent-Length: 99" + END + RECORD,
    "the same length twice": POST + LENGTH + b"\r\n" + LENGTH + END + RECORD,
    "two lengths in one field": POST + LENGTH + b", 99" + END + RECORD,
    "a space before a colon": POST + b"Transfer-Encoding : chunked" + END + CHUNKS,
    "a space in a length's name": POST + b"Content-Length : 17" + END + RECORD,
    "a folded field": POST + b"X-A: b\r\n " + CODED + END + CHUNKS,
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked" + END + CHUNKS,
    "a blank before the first field": POST.replace(b"Host", b" Host") + LENGTH + END + RECORD,
    "bare line feeds": (POST + LENGTH + END).replace(b"\r", b"") + RECORD,
    "a bare line feed": POST + b"X-A: b\n" + LENGTH + END + RECORD,
    "a bare carriage return": POST + b"X-A: b\r" + LENGTH + END + RECORD,
    "a NUL": POST + b"X-A: \0\r\n" + LENGTH + END + RECORD,
    "chunks and then none": POST + CODED + b", identity" + END + CHUNKS,
    "chunks twice": POST + CODED + b"\r\n" + CODED + END + CHUNKS,
    "a coding nobody knows": POST + b"Transfer-Encoding: xchunked" + END + CHUNKS,
    "a coding that is none": POST + b"Transfer-Encoding: identity\r\n" + LENGTH + END + RECORD,
    "a coding with a control": POST + b"Transfer-Encoding: \x0bchunked" + END + CHUNKS,
    "chunks in HTTP/1.0": POST.replace(b"1.1", b"1.0") + CODED + END + CHUNKS,
    "a length among trailers": POST + CODED + END + b"0\r\nContent-Length: 99" + END,
    "a chunk that is longer than its size": POST + CODED + END + b"4" + CHUNKS[2:],
}
LENGTHS = ["-1", "+17", "0x11", "1_7", "1 7", "", "17abc", "9" * 30, "9" * 5000, "\xb2", "17;"]
SIZES = [b"g", b"-1", b"+11", b"0x11", b"1_1", b" 11", b"", b"f" * 30, b"11;a\rb", b"11\n", b"1 1"]


def alone(answers: list[targets.Answer]) -> targets.Answer:
    """Return the one answer, after which the connection was closed; a refusal is in our form."""
    (answer,) = answers
    assert answer.status == 200 or 400 <= answer.status < 500
    assert answer.status != 404, "the hidden request was answered"
    if answer.status != 200:
        assert answer.headers["content-type"] == "application/json"
        assert set(json.loads(answer.body)) == {"error", "code", "lines"}
    return answer


@pytest.mark.parametrize("shape", SHAPES)
def test_a_request_with_two_ends_is_not_answered_as_two(
    victim: targets.OverHttp, shape: str
) -> None:
    alone(raw.exchange(victim.port, SHAPES[shape] + HIDDEN))


@pytest.mark.parametrize("length", LENGTHS, ids=lambda length: repr(length[:40]))
def test_an_odd_content_length_is_refused(victim: targets.OverHttp, length: str) -> None:
    sent = raw.head("/invocations", "POST", f"Content-Length: {length}") + RECORD + HIDDEN
    assert alone(raw.exchange(victim.port, sent)).status in (400, 413)


@pytest.mark.parametrize("length", ["17", "017", " 17 ", "\t17"])
def test_a_length_may_have_blanks_around_it(victim: targets.OverHttp, length: str) -> None:
    sent = raw.head("/invocations", "POST", f"Content-Length:{length}") + RECORD + HIDDEN
    assert [answer.status for answer in raw.exchange(victim.port, sent)] == [200, 404]


@pytest.mark.parametrize("size", SIZES, ids=repr)
def test_a_chunk_of_an_odd_size_is_refused(victim: targets.OverHttp, size: bytes) -> None:
    sent = POST + CODED + END + size + b"\r\n" + RECORD + b"\r\n0" + END + HIDDEN
    assert alone(raw.exchange(victim.port, sent)).status in (400, 413)


def test_what_follows_a_body_is_not_logged(victim: targets.OverHttp) -> None:
    """A body that is longer than its Content-Length: its rest is read as a request."""
    rest = b'{"text": "%b"} HTTP/1.1\r\n%b: %b\r\n\r\n' % ((SECRET.encode(),) * 3)
    for rubbish in (rest, SECRET.encode() + b" " + rest, b"GET /" + SECRET.encode() + b"\r\n\r\n"):
        first, second = raw.exchange(victim.port, raw.request(RECORD) + rubbish)
        assert (first.status, second.status) == (200, 400)
        assert SECRET.encode() not in second.body


def test_a_hidden_path_is_not_logged(victim: targets.OverHttp) -> None:
    (answer,) = raw.exchange(victim.port, raw.head(f"/{SECRET}?{SECRET}", "GET", f"X-A: {SECRET}"))
    assert answer.status == 404
    assert SECRET.encode() not in answer.body


def test_pipelined_requests_are_answered_in_order(victim: targets.OverHttp) -> None:
    sent = [
        raw.head("/ping", "GET"),
        raw.request(RECORD * 2),
        raw.head("/elsewhere", "GET"),
        POST + CODED + END + raw.chunks(RECORD[:5], RECORD[5:]),
        raw.request(b"oops\n"),
        raw.head("/ping", "GET"),
    ]
    found = raw.exchange(victim.port, b"".join(sent))
    assert [answer.status for answer in found] == [200, 200, 404, 200, 400, 200]
    assert [answer.body.count(b"probability") for answer in found] == [0, 2, 0, 1, 0, 0]
