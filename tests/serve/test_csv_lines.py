"""Test that lines of CSV are read and written."""

from __future__ import annotations

import csv
import io
import json

import pytest

from model_handler import Labels, Pairs, Prediction, Values
from model_handler.outputs import Label
from serve import csv_lines
from serve.errors import BadLine
from serve.records import Record, only_readable


def read(line: bytes) -> Record | BadLine:
    (found,) = csv_lines.read([(7, line)])
    return found


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"It fits.", "It fits."),
        (b"It fits, mostly.", "It fits, mostly."),
        (b'It is "fine".', 'It is "fine".'),
        (b'  "not at the start"', '  "not at the start"'),
        (b"one\ttab", "one\ttab"),
        (b"It fits.\r", "It fits."),
        (b" Size X \t\r", " Size X \t"),
        (b"Size X\r", "Size X"),
        (b'"It fits, mostly."', "It fits, mostly."),
        (b'"It is ""fine""."\r', 'It is "fine".'),
        (b'""', ""),
        (b'" "', " "),
        ("größer \U0001f600".encode(), "größer \U0001f600"),
    ],
)
def test_all_of_a_line_is_one_text_unless_it_is_quoted(line: bytes, text: str) -> None:
    assert read(line) == Record(7, text)


def test_a_text_may_be_longer_than_the_csv_module_likes() -> None:
    for length in (csv.field_size_limit() + 1, 10):
        assert read(b'"' + b"x" * length + b'"') == Record(7, "x" * length)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            b'"a","b","c"',
            "3 columns, not one text; put quotes around all of a text, or none",
        ),
        (
            b'"one line of two',
            "not valid CSV: unexpected end of data; a text must stand on one line",
        ),
        (
            b'"so" he said',
            "not valid CSV: ',' expected after '\"'; a text must stand on one line",
        ),
        (b"caf\xe9", "not valid UTF-8: unexpected end of data at byte 3"),
    ],
)
def test_a_line_that_is_no_single_text_is_told_why(line: bytes, reason: str) -> None:
    assert read(line) == BadLine(7, reason)


def test_two_columns_behind_a_quote_are_a_pair_where_the_model_reads_one() -> None:
    wrong = "2 columns, not one text; put quotes around all of a text, or none"
    found = read(b'"It is, mostly","good"')
    assert found == Record(7, ("It is, mostly", "good"), wrong)
    assert only_readable([found], Pairs.FEATURES) == [found]
    (bad,) = only_readable([found], Pairs.TEXT_PAIR)
    assert isinstance(bad, BadLine)
    assert bad.reason.startswith(f"{wrong}; TEXT_PAIRS=1 ")


def test_the_lines_around_a_bad_one_are_read() -> None:
    found = csv_lines.read([(1, b"a"), (3, b'"'), (4, b"c")])
    assert [type(one) for one in found] == [Record, BadLine, Record]
    assert [one.number for one in found] == [1, 3, 4]


def test_an_answer_has_label_probability_and_scores_and_a_bad_line_its_reason_in_the_third() -> (
    None
):
    written = csv_lines.write(
        [
            Prediction(0.75, -1),
            Prediction(0.5, "good, really", {"good, really": 0.5, "bad": 0.25}),
            BadLine(3, 'no "features"'),
        ]
    )
    assert written == b'-1,0.75\n"good, really",0.5,0.5,0.25\n,,"no ""features"""\n'


def test_each_task_has_columns_of_its_own_and_a_bad_line_is_told_apart() -> None:
    several: dict[Label, float] = {"late": 0.25, "so; so": 0.75, "1": 0.5}
    written = csv_lines.write(
        [
            Labels(["so; so", "1"], several),
            Labels(["late"], several),
            Labels([], several),
            Values({"fit": 3.5}),
            Values({"fit": 3.5, "price": -2.0}),
            BadLine(6, "no text"),
        ]
    )
    assert written.decode().splitlines() == [
        '"""so; so"";1",0.25,0.75,0.5',
        "late,0.25,0.75,0.5",
        ",0.25,0.75,0.5",
        "3.5",
        "3.5,-2.0",
        ",,no text",
    ]
    first = next(csv.reader([written.decode().splitlines()[0]]))[0]
    assert next(csv.reader([first], delimiter=";")) == ["so; so", "1"]


def test_no_outcomes_are_no_lines() -> None:
    assert csv_lines.write([]) == b""


def test_a_probability_is_written_as_json_writes_it() -> None:
    probability = 0.9568974333235101
    row = next(csv.reader(io.StringIO(csv_lines.write([Prediction(probability, 1)]).decode())))
    assert row == ["1", json.dumps(probability)]
