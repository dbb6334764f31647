"""What a body may look like, and what is said of one that may not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_handler import Prediction
from serve import wire
from serve.errors import BadLine, BadRequest, UnsupportedMediaType
from serve.records import Outcome, Record

GOOD = b'{"features": ["fine"]}'


def read(body: bytes) -> list[Record | BadLine]:
    return wire.read(body, wire.JSON_LINES).records


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        GOOD + b"\n",
        GOOD + b"\r\n",
        b"\xef\xbb\xbf" + GOOD,
        b'{"features": "fine"}',
        b'{"text": "fine"}',
        b'{"inputs": "fine"}',
        b'{"inputs": ["fine"], "parameters": {}}',
    ],
)
def test_each_accepted_shape_is_the_same_record(body: bytes) -> None:
    assert read(body) == [Record(1, "fine")]


def test_blank_lines_are_skipped_and_counted() -> None:
    assert read(b"\n" + GOOD + b"\r\n \r\n\n" + GOOD) == [Record(2, "fine"), Record(5, "fine")]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x1c"])
def test_line_separators_inside_a_string_do_not_end_a_record(separator: str) -> None:
    text = f"one{separator}two"
    body = json.dumps({"features": [text]}, ensure_ascii=False).encode()
    assert read(body) == [Record(1, text)]


def test_reading_goes_on_behind_a_bad_line() -> None:
    found = read(GOOD + b"\n{oops\n" + GOOD)
    assert [type(record) for record in found] == [Record, BadLine, Record]
    assert found[1] == BadLine(
        2,
        "not valid JSON: Expecting property name enclosed in double quotes at column 2",
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'"features"', "JSONLinesSerializer"),
        (b"null", "not null"),
        (b"3", "not a number"),
        (b"true", "not a boolean"),
        (b'["a"]', "not a list"),
        (b"{}", 'no "features"'),
        (b'{"features": []}', "holds 0 items"),
        (b'{"features": ["a", "b"]}', "holds 2 items"),
        (b'{"features": [3]}', "holds a number, not a text"),
        (b'{"features": null}', "holds null, not a text"),
        (b'{"features": [NaN]}', "NaN is not allowed"),
        (b'{"features": ["\\ud800"]}', "surrogate"),
        (b'{"features": ["\xff"]}', "not valid UTF-8: invalid start byte at byte 15"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_line_is_told_what_is_wrong_with_it(line: bytes, reason: str) -> None:
    (found,) = read(line)
    assert isinstance(found, BadLine)
    assert reason in found.reason


def test_the_text_of_a_record_is_not_quoted_back() -> None:
    (found,) = read(b'{"features": ["my secret", "and more"]}')
    assert isinstance(found, BadLine)
    assert "secret" not in found.reason


@pytest.mark.parametrize("body", [b"", b"\n\n", b" \r\n"])
def test_a_body_without_records_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="no record"):
        read(body)


def test_a_missing_content_type_means_json_lines() -> None:
    assert wire.read(GOOD, "").records == [Record(1, "fine")]


def test_other_content_types_are_refused_with_what_can_be_read() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"text/xml .* application/jsonlines"):
        wire.read(GOOD, "text/xml")


def test_json_takes_one_object_or_a_list() -> None:
    assert wire.read(GOOD, wire.JSON) == wire.Body([Record(1, "fine")], single=True)
    many = wire.read(b"[" + GOOD + b"," + GOOD + b"]", wire.JSON)
    assert many == wire.Body([Record(1, "fine"), Record(2, "fine")])


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b""])
def test_json_that_holds_no_record_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        wire.read(body, wire.JSON)


def test_answers_have_the_keys_of_the_example_in_its_order() -> None:
    outcomes: list[Outcome] = [Prediction(0.75, -1), BadLine(2, "no")]
    expected = b'{"probability": 0.75, "predicted_label": -1}\n{"error": "no"}\n'
    assert wire.write(outcomes, wire.JSON_LINES, single=False) == expected
    assert json.loads(wire.write(outcomes, wire.JSON, single=False))[1] == {"error": "no"}
    assert json.loads(wire.write(outcomes[:1], wire.JSON, single=True))["predicted_label"] == -1


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.booleans())
def test_any_text_arrives_as_it_was_sent(texts: list[str], escaped: bool) -> None:
    body = "\n".join(json.dumps({"features": [t]}, ensure_ascii=escaped) for t in texts).encode()
    assert read(body) == [Record(number, text) for number, text in enumerate(texts, 1)]


@given(st.binary())
def test_any_bytes_are_records_or_bad_lines_or_a_bad_request(body: bytes) -> None:
    try:
        found = read(body)
    except BadRequest:
        gzip = body.startswith(b"\x1f\x8b\x08")
        assert gzip or not body.removeprefix(b"\xef\xbb\xbf").strip()
    else:
        assert len(found) == sum(
            bool(line.strip()) for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        )
