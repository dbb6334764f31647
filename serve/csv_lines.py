"""Lines of text/csv in, records out; predictions in, lines out. https://www.rfc-editor.org/rfc/rfc4180

In: one text on each line, all of it; or in double quotes, which are then doubled inside.
Out: label, probability, then the score of each label if there are any. A bad line has no label and
no probability, and its reason in the third column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model_handler import Labels, Values
from serve.errors import BadLine
from serve.records import Outcome, Record


def read(lines: Iterable[tuple[int, bytes]]) -> list[Record | BadLine]:
    """Numbered lines, none of them blank, to one record or bad line each."""
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
    if len(fields) != 1:
        return BadLine(
            number, f"{len(fields)} columns, not one text; put quotes around all of a text, or none"
        )
    return Record(number, fields[0])


def write(outcomes: Sequence[Outcome]) -> bytes:
    """One line for each outcome."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for outcome in outcomes:
        if isinstance(outcome, BadLine):
            writer.writerow(["", "", outcome.reason])
        elif isinstance(outcome, Values):
            writer.writerow(outcome.predicted_values.values())
        elif isinstance(outcome, Labels):
            names = ";".join(map(str, outcome.predicted_labels))
            writer.writerow([names, *outcome.scores.values()])
        else:
            scores = (outcome.scores or {}).values()
            writer.writerow([outcome.predicted_label, outcome.probability, *scores])
    return out.getvalue().encode()
