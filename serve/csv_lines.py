"""Read lines of text/csv as records, and write predictions as lines of it.

https://www.rfc-editor.org/rfc/rfc4180

Each line of a body is one text, all of it; or stands in double quotes, which are then doubled
inside. A line that begins with a quoted text may have a second column: the second text of a pair,
where the model reads pairs in `features`. A line of the answer is

- one label: the label, its probability, then the score of each label if they were asked for;
- several labels: those that are predicted, as a CSV line of its own with semicolons, then the score
  of each label in the order of the model;
- a value: the value; several: each of them in the order of the model;
- a bad line: two empty columns and the reason. Nothing else has an empty column but a model of
  several labels that predicts none: its first is empty, and its second a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from model_handler import Labels, Values
from serve.errors import BadLine
from serve.records import Outcome, Record


def read(lines: Iterable[tuple[int, bytes]]) -> list[Record | BadLine]:
    """Make one record or bad line of each numbered line, none of them blank."""
    return [_record(number, line.rstrip(b"\r")) for number, line in lines]


def _record(number: int, line: bytes) -> Record | BadLine:
    import csv

    csv.field_size_limit(max(len(line), csv.field_size_limit()))
    try:
        text = line.decode()
        fields = next(csv.reader([text], strict=True)) if text.startswith('"') else [text]
    except UnicodeDecodeError as error:
        return BadLine(number, f"not valid UTF-8: {error.reason} at byte {error.start}")
    except csv.Error as error:
        return BadLine(number, f"not valid CSV: {error}; a text must stand on one line")
    if len(fields) == 1:
        return Record(number, fields[0])
    wrong = f"{len(fields)} columns, not one text; put quotes around all of a text, or none"
    if len(fields) == 2:
        return Record(number, (fields[0], fields[1]), wrong)
    return BadLine(number, wrong)


def write(outcomes: Sequence[Outcome]) -> bytes:
    """Write one line for each outcome."""
    return _lines(map(_columns, outcomes)).encode()


def _columns(outcome: Outcome) -> Sequence[Any]:
    if isinstance(outcome, BadLine):
        return ["", "", outcome.reason]
    if isinstance(outcome, Values):
        return [*outcome.predicted_values.values()]
    if isinstance(outcome, Labels):
        names = outcome.predicted_labels
        joined = _lines([names], ";").removesuffix("\n") if names else ""
        return [joined, *outcome.scores.values()]
    return [outcome.predicted_label, outcome.probability, *(outcome.scores or {}).values()]


def _lines(rows: Iterable[Sequence[Any]], delimiter: str = ",") -> str:
    import csv
    import io

    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()
