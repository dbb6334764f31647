"""What SageMaker and its clients rely on, asked of each of the three targets."""

from __future__ import annotations

import json

import pytest

from tests.conftest import BLOG, lines
from tests.contract.targets import Target

JSON_LINES = {"Content-Type": "application/jsonlines"}
GOOD = b'{"features": ["good"]}\n'


def test_a_ping_is_200_with_an_empty_body(target: Target) -> None:
    answer = target.request("GET", "/ping")
    assert (answer.status, answer.body) == (200, b"")


def test_the_exchange_of_the_blog(target: Target) -> None:
    answer = target.request("POST", "/invocations", BLOG, JSON_LINES)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/jsonlines"
    found = lines(answer.body)
    assert [line["predicted_label"] for line in found] == [1, 0, -1]
    for line in found:
        assert list(line) == ["probability", "predicted_label"]
        assert isinstance(line["probability"], float)
        assert 1 / 3 < line["probability"] <= 1


@pytest.mark.parametrize("body", [GOOD, GOOD.strip(), b"\xef\xbb\xbf\r\n" + GOOD.strip() + b"\r\n"])
def test_one_line_is_answered_by_one_line(target: Target, body: bytes) -> None:
    answer = target.request("POST", "/invocations", body, JSON_LINES)
    assert answer.status == 200
    assert len(lines(answer.body)) == 1


@pytest.mark.parametrize(
    "media_type", [None, "application/x-jsonlines", "application/jsonlines; charset=utf-8"]
)
def test_types_that_mean_json_lines(target: Target, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    assert target.request("POST", "/invocations", GOOD, headers).status == 200


def test_every_text_counts_from_its_first_to_its_last_word(target: Target) -> None:
    """Not the first character alone, as in a published sample of this exchange."""
    body = b'{"features": ["I love it"]}\n{"features": ["I hate it, it broke at once"]}\n'
    first, second = lines(target.request("POST", "/invocations", body, JSON_LINES).body)
    assert first["predicted_label"] != second["predicted_label"]


def test_a_separator_inside_a_text_does_not_end_its_line(target: Target) -> None:
    body = '{"features": ["good\u2028and\u0085better"]}\n'.encode()
    assert len(lines(target.request("POST", "/invocations", body, JSON_LINES).body)) == 1


def test_many_lines_are_answered_in_their_order(target: Target) -> None:
    texts = ["I love this product!", "This is not the right product. " * 6] * 40
    body = "".join(json.dumps({"features": [text]}) + "\n" for text in texts).encode()
    found = lines(target.request("POST", "/invocations", body, JSON_LINES).body)
    assert [line["predicted_label"] for line in found] == [1, -1] * 40


def test_json_is_answered_in_kind_when_asked_for(target: Target) -> None:
    kind = {"Content-Type": "application/json", "Accept": "application/json"}
    one = target.request("POST", "/invocations", GOOD, kind)
    assert one.headers["content-type"] == "application/json"
    assert set(json.loads(one.body)) == {"probability", "predicted_label"}
    many = target.request("POST", "/invocations", b"[" + GOOD + b"," + GOOD + b"]", kind)
    assert len(json.loads(many.body)) == 2
    as_lines = target.request("POST", "/invocations", GOOD, {"Content-Type": "application/json"})
    assert len(lines(as_lines.body)) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{oops\n", JSON_LINES, 400, "bad_request"),
        (b"", JSON_LINES, 400, "bad_request"),
        (b'"features"\n', JSON_LINES, 400, "bad_request"),
        (GOOD, {**JSON_LINES, "Accept": "image/png"}, 406, "not_acceptable"),
        (b" " * (6 * 1024 * 1024 + 1), JSON_LINES, 413, "payload_too_large"),
        (GOOD, {"Content-Type": "application/xml"}, 415, "unsupported_media_type"),
    ],
)
def test_a_clients_fault_is_told_as_json(
    target: Target, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = target.request("POST", "/invocations", body, headers)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    found = json.loads(answer.body)
    assert list(found) == ["error", "code", "lines"]
    assert found["code"] == code


def test_every_bad_line_is_listed_and_nothing_is_scored(target: Target) -> None:
    answer = target.request("POST", "/invocations", GOOD + b"{\n\n" + GOOD + b"3\n", JSON_LINES)
    assert answer.status == 400
    assert [line["line"] for line in json.loads(answer.body)["lines"]] == [2, 5]


def test_bad_lines_are_answered_in_place_on_request(target: Target) -> None:
    headers = {**JSON_LINES, "X-Amzn-SageMaker-Custom-Attributes": "on-bad-record=report"}
    answer = target.request("POST", "/invocations", GOOD + b"{\n" + GOOD, headers)
    assert answer.status == 200
    assert [set(line) for line in lines(answer.body)] == [
        {"probability", "predicted_label"},
        {"error"},
        {"probability", "predicted_label"},
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/invocations", 405), ("POST", "/ping", 405)],
)
def test_other_paths_and_methods(target: Target, method: str, path: str, status: int) -> None:
    assert target.request(method, path).status == status
