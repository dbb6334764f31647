"""Test that clients that are slow, odd, hostile or gone are told so, and delay no others."""

from __future__ import annotations

import gzip
import json
import subprocess

import pytest

from platform_facts import INSTANCE_BODY_BYTES, MEGABYTE, PING_SECONDS
from tests.conftest import lines
from tests.contract import raw, targets
from tests.contract.conftest import SECRET

JSON_LINES = "Content-Type: application/jsonlines"
RECORD = b'{"text": "fine"}\n'
CHUNKED = raw.head("/invocations", "POST", "Transfer-Encoding: chunked")
LIMIT = INSTANCE_BODY_BYTES


def refusal(answer: targets.Answer | None, *statuses: int) -> dict[str, object]:
    """Return the JSON of an answer with one of these statuses, which quotes no text."""
    assert answer is not None
    assert answer.status in statuses
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.body) <= 2048
    assert SECRET.encode() not in answer.body
    found: dict[str, object] = json.loads(answer.body)
    assert {"error", "code", "lines"} <= set(found) <= {"error", "code", "lines", "omitted"}
    return found


def post(server: targets.OverHttp, body: bytes, *fields: str) -> targets.Answer:
    """Return the one answer to a body."""
    (answer,) = raw.exchange(server.port, raw.request(body, *fields))
    return answer


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /ping HTTP/1.1\r\nHost: test\r\nX-Slow: ",
        raw.head("/invocations", "POST", "Content-Length: 9999"),
    ],
    ids=["nothing at all", "headers", "a body"],
)
def test_a_hundred_clients_that_send_byte_by_byte_hold_up_no_ping(
    victim: targets.OverHttp, begin: bytes
) -> None:
    with raw.connect(victim.port, 100) as slow, raw.connect(victim.port) as [other]:
        other.socket.settimeout(PING_SECONDS)
        for connection in slow:
            connection.send(begin)
        for _ in range(5):
            for connection in slow if begin else ():
                connection.send(b"a")
            other.send(raw.head("/ping", "GET"))
            pong = other.answer("GET")
            assert pong is not None
            assert pong.status == 200
        assert post(victim, RECORD).status == 200


@pytest.mark.parametrize(
    "fields",
    [["X-Long: " + 64 * 1024 * "a"], [f"X-{number}: a" for number in range(10_000)]],
    ids=["one of 64 KB", "10,000 of them"],
)
def test_huge_headers_are_refused_as_json(victim: targets.OverHttp, fields: list[str]) -> None:
    (answer,) = raw.exchange(victim.port, raw.head("/ping", "GET", *fields))
    refusal(answer, 400, 431)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "line",
    [
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00",
        b"get /ping HTTP/1.1",
        b"GET /ping",
        b"GET /ping HTTP/9.9",
        b"\0",
    ],
)
def test_what_is_no_http_is_refused_as_json(victim: targets.OverHttp, line: bytes) -> None:
    (answer,) = raw.exchange(victim.port, line + b"\r\nX-A: " + SECRET.encode() + b"\r\n\r\n")
    refusal(answer, 400)


def test_a_chunked_body_is_scored(victim: targets.OverHttp) -> None:
    (answer,) = raw.exchange(victim.port, CHUNKED + raw.chunks(RECORD, RECORD[:3], RECORD[3:]))
    assert answer.status == 200
    assert len(lines(answer.body)) == 2


def test_a_query_changes_nothing(victim: targets.OverHttp) -> None:
    (answer,) = raw.exchange(victim.port, raw.request(RECORD, path="/invocations?x=1&text=%00"))
    assert answer.status == 200


def test_who_asks_first_may_send_a_body_or_is_refused(victim: targets.OverHttp) -> None:
    """As curl does with bodies of a megabyte and more."""
    with raw.connect(victim.port) as [client]:
        ask = "Expect: 100-continue"
        client.send(raw.head("/invocations", "POST", f"Content-Length: {len(RECORD)}", ask))
        assert client.status() == 100
        client.send(RECORD)
        answer = client.answer()
        assert answer is not None
        assert answer.status == 200


def test_a_chunked_body_over_the_limit_is_refused(victim: targets.OverHttp) -> None:
    (answer,) = raw.exchange(victim.port, CHUNKED, raw.chunks(*[b" " * MEGABYTE] * 7))
    assert refusal(answer, 413)["code"] == "payload_too_large"


def test_a_body_over_the_limit_is_refused_before_it_is_sent(victim: targets.OverHttp) -> None:
    with raw.connect(victim.port) as [client]:
        client.send(raw.head("/invocations", "POST", f"Content-Length: {LIMIT + 1}"))
        assert refusal(client.answer(), 413)["code"] == "payload_too_large"


@pytest.mark.parametrize("size", [1000, 100_000, LIMIT, LIMIT + 1])
@pytest.mark.parametrize(
    "fields",
    [["/ping"], ["/invocations", "Accept: image/png"], ["/invocations", "Content-Type: a/b"]],
)
def test_who_may_keep_a_connection_after_a_refusal_is_answered_on_it(
    victim: targets.OverHttp, fields: list[str], size: int
) -> None:
    """The body that was refused unread is in the way."""
    path, *more = fields
    with raw.connect(victim.port) as [client]:
        client.send(raw.request(b" " * size, *more, path=path))
        answer = client.answer()
        refusal(answer, 405, 406, 413, 415)
        assert answer is not None
        if answer.headers["connection"] != "close":
            client.send(raw.request(RECORD))
            second = client.answer()
            assert second is not None, "the connection was closed, and was said to be kept"
            assert second.status == 200


@pytest.mark.parametrize("framing", ["Content-Length", "chunks"])
def test_a_body_of_exactly_the_limit_is_read(victim: targets.OverHttp, framing: str) -> None:
    body = RECORD + b" " * (LIMIT - len(RECORD))
    sent = raw.request(body) if framing == "Content-Length" else CHUNKED + raw.chunks(body)
    (answer,) = raw.exchange(victim.port, sent)
    assert answer.status == 200


def test_a_line_of_six_megabytes_is_scored(victim: targets.OverHttp) -> None:
    line = b'{"text": "' + b"so good " * (LIMIT // 8 - 10) + b'"}\n'
    assert len(lines(post(victim, line, JSON_LINES).body)) == 1


def test_half_a_million_tiny_records_are_scored(victim: targets.OverHttp) -> None:
    answer = post(victim, b'{"text":""}\n' * 500_000, JSON_LINES)
    assert answer.status == 200
    assert answer.body.count(b"\n") == 500_000


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        (b"1\n", {"X-Amzn-SageMaker-Custom-Attributes": "on-bad-record=report"}),
        (b"a\n", {"Content-Type": "text/csv"}),
    ],
    ids=["bad lines, reported", "CSV"],
)
def test_a_body_of_nothing_but_tiny_lines_fits_into_a_gigabyte(
    slim: str, line: bytes, headers: dict[str, str]
) -> None:
    body = line * (LIMIT // len(line) - 1)
    with targets.image(slim, {}) as (server, container):
        server.wait()
        assert server.request("POST", "/invocations", body, headers).status in (200, 400, 413)
        log = subprocess.run(
            [targets.DOCKER, "logs", container],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
        ).stdout
        assert log.count(b"Booting worker") == 1, "the worker has died"


def test_more_records_than_a_body_may_hold_are_refused(victim: targets.OverHttp) -> None:
    for body, media_type in (
        (b"1\n" * 500_001, JSON_LINES),
        (b"a\n" * 3_000_000, "Content-Type: text/csv"),
        (b"[" + b"1," * 2_000_000 + b"1]", "Content-Type: application/json"),
    ):
        assert "500,000" in str(refusal(post(victim, body, media_type), 413)["error"])


def test_as_many_bad_lines_as_a_body_can_hold_are_counted(victim: targets.OverHttp) -> None:
    count = 500_000
    found = refusal(post(victim, b"1\n" * count, JSON_LINES), 400)
    listed = found["lines"]
    assert isinstance(listed, list)
    assert len(listed) + int(str(found["omitted"])) == count


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("media_type", ["application/jsonlines", "application/json"])
def test_json_that_is_nested_100000_deep_is_a_bad_line(
    victim: targets.OverHttp, opening: bytes, closing: bytes, media_type: str
) -> None:
    for inner in (b'"%b"' % SECRET.encode(), b""):
        body = b'{"text": ' + opening * 100_000 + inner + closing * 100_000 + b"}\n"
        refusal(post(victim, body, f"Content-Type: {media_type}"), 400)


@pytest.mark.parametrize("media_type", ["application/jsonlines", "application/json", "text/csv"])
def test_nul_bytes_are_refused_or_scored(victim: targets.OverHttp, media_type: str) -> None:
    kind = f"Content-Type: {media_type}"
    assert post(victim, b'{"text": "a\\u0000b"}', kind).status == 200
    for body in (b"\0", b"\0\n\0\n", b'{"text": "%b\0"}\n' % SECRET.encode(), b"\0" * 10_000):
        answer = post(victim, body, kind)
        if answer.status != 200 or media_type != "text/csv":
            refusal(answer, 400)


@pytest.mark.parametrize("media_type", ["application/jsonlines", "application/json", "text/csv"])
def test_a_compressed_body_is_refused_in_words(victim: targets.OverHttp, media_type: str) -> None:
    kind, body = f"Content-Type: {media_type}", gzip.compress(RECORD)
    for encoding in ("gzip", "x-gzip", "deflate", "br", "zstd"):
        found = refusal(post(victim, body, kind, f"Content-Encoding: {encoding}"), 415)
        assert "Content-Encoding" in str(found["error"])
    assert "gzip" in str(refusal(post(victim, body, kind), 400, 415)["error"])
    assert post(victim, RECORD, kind, "Content-Encoding: identity").status == 200


@pytest.mark.parametrize("framing", ["Content-Length", "chunks"])
def test_a_body_that_ends_early_is_not_scored(victim: targets.OverHttp, framing: str) -> None:
    """Its last record may be whole, and yet it is not what the client meant to send."""
    if framing == "Content-Length":
        sent = raw.request(RECORD * 2).removesuffix(RECORD)
    else:
        sent = CHUNKED + raw.chunks(RECORD, RECORD).removesuffix(b"0\r\n\r\n")
    for answer in raw.exchange(victim.port, sent):
        refusal(answer, 400, 408)


@pytest.mark.parametrize("sent", [raw.request(RECORD)[:-5], raw.request(RECORD), b"GET /pi", b""])
def test_a_client_that_goes_away_leaves_a_healthy_server(
    victim: targets.OverHttp, sent: bytes
) -> None:
    with raw.connect(victim.port, 20) as gone:
        for connection in gone:
            connection.send(sent)


def test_a_client_that_does_not_read_its_answer_holds_up_nobody(victim: targets.OverHttp) -> None:
    with raw.connect(victim.port, 2) as deaf:
        for connection in deaf:
            connection.send(raw.request(b'{"text":""}\n' * 100_000))
        assert post(victim, RECORD).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/ping", 200),
        ("HEAD", "/invocations", 405),
        ("OPTIONS", "/invocations", 200),
        ("PUT", "/invocations", 405),
        ("DELETE", "/ping", 405),
        ("TRACE", "/ping", 405),
        ("BREW", "/ping", 405),
        ("OPTIONS", "*", 404),
        ("GET", "http://test/ping", 200),
        ("GET", "/ping?x=%00", 200),
        ("GET", "//ping", 200),
        ("GET", "/ping/", 404),
        ("GET", "/ping%00", 404),
        ("GET", "/../ping", 404),
        ("GET", "/%ff%fe", 404),
        ("GET", "/" + "a" * 4000, 404),
        ("GET", "/" + "a" * 100_000, 414),
        ("CONNECT", "test:80", 404),
    ],
)
def test_odd_methods_and_paths(
    victim: targets.OverHttp, method: str, path: str, status: int
) -> None:
    with raw.connect(victim.port) as [client]:
        client.send(raw.head(path, method))
        answer = client.answer(method)
    assert answer is not None
    assert answer.status == status
    if status == 405:
        assert answer.headers["allow"]
    if status >= 400 and method != "HEAD":
        refusal(answer, status)
