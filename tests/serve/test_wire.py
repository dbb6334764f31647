"""Test which bodies are read, and what is said of others."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_handler import Labels, Prediction, Values
from serve import wire
from serve.errors import BadLine, BadRequest, ServeError, TooManyRecords, UnsupportedMediaType
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
        (b'{"features": ["a", "b", "c"]}', "holds 3 items"),
        (b'{"features": [3]}', "holds a number, not a text"),
        (b'{"features": null}', "holds null, not a text"),
        (b'{"features": [NaN]}', "NaN is not allowed"),
        (b'{"features": ["\\ud800"]}', "surrogate"),
        (b'{"features": ["\xff"]}', "not valid UTF-8: invalid start byte at byte 15"),
        (b'{"features": ["fine"], "features": ["bad"]}', "has the same key twice"),
        (b'{"features": "broken o', "Unterminated string starting at column 14"),
        (b'{"features": "a\tb"}', "Invalid control character at column 16"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_line_is_told_what_is_wrong_with_it(line: bytes, reason: str) -> None:
    (found,) = read(line)
    assert isinstance(found, BadLine)
    assert reason in found.reason


def test_the_text_of_a_record_is_not_quoted_back() -> None:
    (found,) = read(b'{"text": ["my secret", "and more"]}')
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


def test_each_task_has_an_answer_of_its_own() -> None:
    outcomes: list[Outcome] = [
        Labels(["late", "dear"], {"late": 0.75, "broken": 0.25, "dear": 0.5}),
        Labels([], {1: 0.25, 2: 0.125}),
        Values({"fit": 3.5}),
        Values({"fit": 3.5, "price": -2.0}),
    ]
    expected = [
        {
            "predicted_labels": ["late", "dear"],
            "scores": {"late": 0.75, "broken": 0.25, "dear": 0.5},
        },
        {"predicted_labels": [], "scores": {"1": 0.25, "2": 0.125}},
        {"predicted_value": 3.5},
        {"predicted_values": {"fit": 3.5, "price": -2.0}},
    ]
    written = wire.write(outcomes, wire.JSON_LINES, single=False)
    assert list(map(json.loads, written.splitlines())) == expected
    assert json.loads(wire.write(outcomes, wire.JSON, single=False)) == expected


@pytest.mark.parametrize("media_type", [wire.JSON_LINES, wire.JSON])
def test_what_is_no_number_is_never_written(media_type: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        wire.write([Prediction(float("nan"), 1)], media_type, single=False)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n" + GOOD])
def test_a_line_that_breaks_off_is_told_the_column_of_its_own_line(end: bytes) -> None:
    found = read(GOOD + b'\n{"features": ' + end)[1]
    assert isinstance(found, BadLine)
    assert found.number == 2
    assert re.fullmatch(r"not valid JSON: Expecting value at column 1[45]", found.reason)


@pytest.mark.parametrize("media_type", [wire.JSON_LINES, wire.JSON, wire.CSV])
def test_a_body_of_more_records_than_can_be_answered_is_refused_with_how_many_can(
    media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MOST_RECORDS", 2000)

    def body(count: int) -> bytes:
        if media_type == wire.JSON:
            return b"[" + b",".join([GOOD] * count) + b"]"
        return b"\n".join([GOOD] * count)

    assert len(wire.read(body(2000), media_type).records) == 2000
    with pytest.raises(TooManyRecords, match=r"^a body may hold 2,000 records; send the rest in"):
        wire.read(body(2001), media_type)


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(constant: bytes) -> None:
    (found,) = read(b'{"features": ["fine"], "price": ' + constant + b"}")
    assert found == BadLine(1, f"not valid JSON: {constant.decode()} is not allowed")


def test_a_number_of_any_length_beside_the_text_does_no_harm() -> None:
    assert read(b'{"features": ["fine"], "id": ' + b"9" * 10_000 + b"}") == [Record(1, "fine")]


@pytest.mark.parametrize("blank", [1, 2, 9])
def test_json_that_cannot_be_read_is_told_the_line_of_the_body_and_the_column(blank: int) -> None:
    with pytest.raises(BadRequest) as caught:
        wire.read(b"[" + b"\n" * blank + b"{oops}\n]", wire.JSON)
    where = f"line {blank + 1}, column 2"
    reason = f"not valid JSON: Expecting property name enclosed in double quotes at {where}"
    assert str(caught.value) == f"the body is {reason}"
    assert caught.value.lines == [BadLine(blank + 1, reason)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not valid JSON: Expecting property name enclosed in double quotes at column 2"),
        (b'"\xff"', "not valid UTF-8: invalid start byte at byte 1"),
        (b'{"a": 1, "a": 2}', "not valid JSON: an object has the same key twice"),
        (b"[" * 100_000, "not valid JSON: it is nested too deeply"),
    ],
)
def test_json_of_one_line_that_cannot_be_read_is_told_why(body: bytes, reason: str) -> None:
    with pytest.raises(BadRequest) as caught:
        wire.read(body, wire.JSON)
    assert str(caught.value) == f"the body is {reason}"
    assert caught.value.lines == [BadLine(1, reason)]


def test_a_bad_record_of_a_json_list_has_the_number_of_its_place() -> None:
    found = wire.read(b"[" + GOOD + b",\n3," + GOOD + b"]", wire.JSON)
    assert [record.number for record in found.records] == [1, 2, 3]
    assert [type(record) for record in found.records] == [Record, BadLine, Record]


@pytest.mark.parametrize("media_type", wire.OFFERED)
def test_a_byte_order_mark_at_the_start_is_no_part_of_the_first_text(media_type: str) -> None:
    body = b"fine" if media_type == wire.CSV else GOOD
    assert wire.read(b"\xef\xbb\xbf" + body, media_type).records == [Record(1, "fine")]


@pytest.mark.parametrize("media_type", ["", *wire.OFFERED, "text/xml"])
def test_a_compressed_body_is_told_so_whatever_it_is_said_to_be(media_type: str) -> None:
    with pytest.raises(BadRequest, match=r"^the body is compressed with gzip; send it as it is$"):
        wire.read(b"\x1f\x8b\x08rest", media_type)


def test_lines_of_csv_are_counted_as_those_of_json_are() -> None:
    found = wire.read(b'It fits.\r\n\n"So, so."\n"\nIt broke.', wire.CSV).records
    assert found[:2] == [Record(1, "It fits."), Record(3, "So, so.")]
    assert found[3:] == [Record(5, "It broke.")]
    assert isinstance(found[2], BadLine)
    assert found[2].number == 4


def test_a_csv_text_of_two_lines_is_refused_and_said_to_need_one() -> None:
    found = wire.read(b'"one\ntwo"', wire.CSV).records
    assert isinstance(found[0], BadLine)
    assert "a text must stand on one line" in found[0].reason


def test_scores_are_the_last_key_and_are_there_only_if_asked_for() -> None:
    outcomes: list[Outcome] = [Prediction(0.75, -1, {-1: 0.75, 1: 0.25}), Prediction(0.5, 1)]
    assert wire.write(outcomes, wire.JSON_LINES, single=False) == (
        b'{"probability": 0.75, "predicted_label": -1, "scores": {"-1": 0.75, "1": 0.25}}\n'
        b'{"probability": 0.5, "predicted_label": 1}\n'
    )
    assert wire.write(outcomes, wire.CSV, single=False) == b"-1,0.75,0.75,0.25\n1,0.5\n"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ONE_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))
PROBABILITIES = st.floats(0, 1, exclude_min=True)


def outcomes_of(words: st.SearchStrategy[str]) -> st.SearchStrategy[list[Outcome]]:
    """Answers whose labels and reasons are such words."""
    labels = st.integers(-9, 9) | words
    scores = st.none() | st.dictionaries(labels.map(str), PROBABILITIES, min_size=1)
    predictions = st.builds(Prediction, PROBABILITIES, labels, scores)
    return st.lists(predictions | st.builds(BadLine, st.integers(1), words), min_size=1)


# Pieces of what a body is made of, in any order, reach further than random bytes do.
PIECES = st.lists(
    st.sampled_from(
        [
            *(b'{"features": ["', b'"]}', b'{"text": "', b'"}', GOOD, b"1e999", b"-0", b"NaN"),
            *(b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\\ud800", b"null", b"true"),
            *(b"\n", b"\r\n", b" ", b"\x00", b"\xff", b"\xc3", b"\xe2\x80\xa8"),
            *(b"\xef\xbb\xbf", b"\x1f\x8b\x08"),
        ]
    )
).map(b"".join)


def numbered(texts: list[str]) -> list[Record | BadLine]:
    return [Record(number, text) for number, text in enumerate(texts, 1)]


@given(st.lists(TEXTS, min_size=1), st.booleans())
def test_any_text_arrives_as_it_was_sent(texts: list[str], escaped: bool) -> None:
    values = [json.dumps({"features": [text]}, ensure_ascii=escaped) for text in texts]
    assert read("\n".join(values).encode()) == numbered(texts)
    listed = wire.read(f"[{','.join(values)}]".encode(), wire.JSON)
    assert listed == wire.Body(numbered(texts))
    assert wire.read(values[0].encode(), wire.JSON) == wire.Body(numbered(texts[:1]), single=True)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")), min_size=1
    ),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_text_of_one_line_arrives_as_the_csv_module_wrote_it(
    texts: list[str], end: str
) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([text] for text in texts)
    assert wire.read(out.getvalue().encode(), wire.CSV) == wire.Body(numbered(texts))


@given(st.binary() | PIECES, st.sampled_from(["", *wire.OFFERED]) | st.text())
def test_any_bytes_of_any_type_are_records_or_bad_lines_or_an_error_a_client_is_told(
    body: bytes, media_type: str
) -> None:
    with suppress(ServeError):
        found = wire.read(body, media_type).records
        assert found
        assert all(record.reason for record in found if isinstance(record, BadLine))


@given(st.binary() | PIECES, st.sampled_from([*wire.LINE_TYPES, wire.CSV]))
def test_every_line_that_is_not_blank_is_a_record_or_a_bad_line(
    body: bytes, media_type: str
) -> None:
    bare = body.removeprefix(b"\xef\xbb\xbf")
    filled = [number for number, line in enumerate(bare.split(b"\n"), 1) if line.strip()]
    if filled and not body.startswith(b"\x1f\x8b\x08"):
        found = wire.read(body, media_type).records
        assert [record.number for record in found] == filled
    else:
        with pytest.raises(BadRequest):
            wire.read(body, media_type)


def as_json(outcome: Outcome) -> dict[str, object]:
    """Return what a client reads from an answer, in the words of the README."""
    if isinstance(outcome, BadLine):
        return {"error": outcome.reason}
    assert isinstance(outcome, Prediction)
    found: dict[str, object] = {
        "probability": outcome.probability,
        "predicted_label": outcome.predicted_label,
    }
    return found if outcome.scores is None else found | {"scores": outcome.scores}


@given(outcomes_of(TEXTS), st.sampled_from(wire.LINE_TYPES))
def test_what_is_written_is_parsed_again_one_line_for_each_record(
    outcomes: list[Outcome], media_type: str
) -> None:
    answer = wire.write(outcomes, media_type, single=False)
    assert answer.count(b"\n") == len(outcomes)
    assert list(map(json.loads, answer.splitlines())) == list(map(as_json, outcomes))


@given(outcomes_of(TEXTS))
def test_what_is_written_as_json_is_parsed_again(outcomes: list[Outcome]) -> None:
    assert json.loads(wire.write(outcomes, wire.JSON, single=False)) == list(map(as_json, outcomes))
    one = wire.write(outcomes[:1], wire.JSON, single=True)
    assert json.loads(one) == as_json(outcomes[0])


@given(outcomes_of(ONE_LINE))
def test_what_is_written_as_csv_is_parsed_again_one_row_for_each_record(
    outcomes: list[Outcome],
) -> None:
    answer = wire.write(outcomes, wire.CSV, single=False).decode()
    assert answer.count("\n") == len(outcomes)
    rows = list(csv.reader(io.StringIO(answer, newline=""), strict=True))
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, BadLine):
            assert row == ["", "", outcome.reason]
        else:
            assert isinstance(outcome, Prediction)
            assert row[0] == str(outcome.predicted_label)
            assert list(map(float, row[1:])) == [
                outcome.probability,
                *(outcome.scores or {}).values(),
            ]
