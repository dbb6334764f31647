"""Test what SageMaker and its clients rely on, with each of the three targets."""

from __future__ import annotations

import json

import pytest

from platform_facts import INSTANCE_BODY_BYTES
from tests.conftest import BLOG, lines
from tests.contract.targets import Target

JSON_LINES = {"Content-Type": "application/jsonlines"}
GOOD = b'{"features": ["good"]}\n'
# Every third line is bad.
MIXED = b"".join(
    (b'{"features": ["I love it"]}\n', b'{"features": ["It broke at once"]}\n', b"{oops\n")[n % 3]
    for n in range(10_000)
)


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
        (b" " * (INSTANCE_BODY_BYTES + 1), JSON_LINES, 413, "payload_too_large"),
        (GOOD, {"Content-Type": "application/xml"}, 415, "unsupported_media_type"),
        (GOOD, {**JSON_LINES, "Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        (b"\x1f\x8b\x08\x00rest", JSON_LINES, 400, "bad_request"),
        (GOOD, {**JSON_LINES, "Host": "x" * 300}, 400, "bad_request"),
        (GOOD, {"Content-Type": "application/json; charset=utf-16"}, 400, "bad_request"),
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
    [
        ("HEAD", "/ping", 200),
        ("OPTIONS", "/invocations", 200),
        ("GET", "/", 404),
        ("OPTIONS", "/nowhere", 404),
        ("GET", "/ping/", 404),
        ("GET", "/invocations", 405),
        ("HEAD", "/invocations", 405),
        ("PUT", "/invocations", 405),
        ("POST", "/ping", 405),
        ("DELETE", "/execution-parameters", 405),
    ],
)
def test_other_paths_and_methods(target: Target, method: str, path: str, status: int) -> None:
    answer = target.request(method, path)
    assert answer.status == status
    assert ("allow" in answer.headers) == (status == 405 or (method, status) == ("OPTIONS", 200))


def test_what_may_be_done_with_a_path_is_told(target: Target) -> None:
    assert "POST" in target.request("OPTIONS", "/invocations").headers["allow"]
    assert "POST" in target.request("GET", "/invocations").headers["allow"]


def test_batch_transform_is_told_how_to_send(target: Target) -> None:
    answer = target.request("GET", "/execution-parameters")
    assert answer.headers["content-type"] == "application/json"
    found = json.loads(answer.body)
    assert set(found) == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert (found["BatchStrategy"], found["MaxPayloadInMB"]) == ("MULTI_RECORD", 6)
    assert 1 <= found["MaxConcurrentTransforms"] * found["MaxPayloadInMB"] <= 100


def test_answers_to_the_parts_of_a_file_are_those_to_the_file(target: Target) -> None:
    """MultiRecord and SplitType Line cut a file anywhere between lines, and glue the answers."""
    records = BLOG.split(b"\n")[:-1] * 5
    whole = target.request("POST", "/invocations", b"\n".join(records), JSON_LINES)
    parts = [records[:1], records[1:7], records[7:]]
    glued = b"".join(
        target.request("POST", "/invocations", b"\n".join(part), JSON_LINES).body for part in parts
    )
    assert [line["predicted_label"] for line in lines(glued)] == [1, 0, -1] * 5
    assert [line["predicted_label"] for line in lines(whole.body)] == [1, 0, -1] * 5


def test_csv_is_one_text_a_line_and_answered_by_label_and_probability(target: Target) -> None:
    body = (
        b'I love this product!\r\n"OK, but not great."\nOK, but not great.\n\nThis is not right.\n'
    )
    answer = target.request("POST", "/invocations", body, {"Content-Type": "text/csv"})
    assert answer.headers["content-type"].split(";")[0] == "text/csv"
    rows = [row.split(b",") for row in answer.body.splitlines()]
    assert [int(label) for label, _ in rows] == [1, 0, 0, -1]
    assert all(1 / 3 < float(probability) <= 1 for _, probability in rows)


def test_scores_of_all_classes_on_request(target: Target) -> None:
    headers = {**JSON_LINES, "X-Amzn-SageMaker-Custom-Attributes": "scores=all"}
    for line in lines(target.request("POST", "/invocations", BLOG, headers).body):
        scores = line["scores"]
        assert isinstance(scores, dict)
        assert list(scores) == ["-1", "0", "1"]
        assert sum(scores.values()) == pytest.approx(1)
        assert scores[str(line["predicted_label"])] == line["probability"]


def test_ids_and_attributes_come_back_with_the_models_time(target: Target) -> None:
    headers = {
        **JSON_LINES,
        "X-Amzn-SageMaker-Custom-Attributes": "trace=42",
        "X-Amzn-SageMaker-Inference-Id": "review-7",
    }
    for _ in range(2):
        answer = target.request("POST", "/invocations", GOOD, headers)
    given, cold, spent = answer.headers["x-amzn-sagemaker-custom-attributes"].split(",")
    assert (given, cold) == ("trace=42", "cold=0")
    assert float(spent.removeprefix("model-ms=")) > 0
    assert answer.headers["x-amzn-sagemaker-inference-id"] == "review-7"


def test_ten_thousand_mixed_lines_are_refused_in_a_message_that_can_be_passed_on(
    target: Target,
) -> None:
    answer = target.request("POST", "/invocations", MIXED, JSON_LINES)
    assert answer.status == 400
    assert len(answer.body) <= 2048
    found = json.loads(answer.body)
    assert [line["line"] for line in found["lines"][:3]] == [3, 6, 9]
    assert len(found["lines"]) + found["omitted"] == 3333
    assert "3,333 of 10,000" in found["error"]


def test_ten_thousand_mixed_lines_are_answered_each_in_its_place(target: Target) -> None:
    headers = {**JSON_LINES, "X-Amzn-SageMaker-Custom-Attributes": "on-bad-record=report"}
    found = lines(target.request("POST", "/invocations", MIXED, headers).body)
    assert len(found) == 10_000
    for number, line in enumerate(found, 1):
        expected: object = None if number % 3 == 0 else (1 if number % 3 == 1 else -1)
        assert line.get("predicted_label") == expected
        assert ("error" in line) == (number % 3 == 0)
