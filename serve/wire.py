"""Body bytes to records or bad lines, and outcomes to body bytes: both directions in one place."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonlines

from model_handler import Labels, Values
from serve import csv_lines
from serve.errors import BadLine, BadRequest, TooManyRecords, UnsupportedMediaType, clip
from serve.records import EXPECTED, Outcome, Record, record

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
# The first of these is AWS's name; the others are in use for the same format.
LINE_TYPES = (JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson")
OFFERED = (*LINE_TYPES, JSON, CSV)

# The answer to more would be larger than any endpoint passes on, and lines of a byte or two would
# take a gigabyte of memory.
MOST_RECORDS = 500_000

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b\x08"


@dataclass(frozen=True, slots=True)
class Body:
    """What a body holds, in order. `single` says it was one JSON object, outside any list."""

    records: list[Record | BadLine]
    single: bool = False


def read(body: bytes, media_type: str) -> Body:
    """Read a body of the given media type, "" when none was sent.

    Raises UnsupportedMediaType, TooManyRecords, or BadRequest when there is no record at all.
    """
    if body.startswith(_GZIP):
        raise BadRequest("the body is compressed with gzip; send it as it is")
    body = body.removeprefix(_BOM)
    if media_type in ("", *LINE_TYPES):
        found = Body(_read_lines(body))
    elif media_type == JSON:
        found = _read_json(body)
    elif media_type == CSV:
        found = Body(csv_lines.read(_lines(body)))
    else:
        raise UnsupportedMediaType(
            f"Content-Type {clip(media_type)} cannot be read; send {JSON_LINES}, {JSON} or {CSV}"
        )
    if not found.records:
        raise BadRequest(f"the body holds no record; {EXPECTED} on each line")
    return found


def write(outcomes: Sequence[Outcome], media_type: str, single: bool) -> bytes:
    """Write one JSON value for each outcome: lines, or a JSON list, or one object if `single`.

    As CSV: label, probability, then the score of each label if there are any.
    """
    if media_type == CSV:
        return csv_lines.write(outcomes)
    values = list(map(value, outcomes))
    if media_type == JSON:
        return json.dumps(values[0] if single else values).encode() + b"\n"
    # The last line is ended as well: Batch Transform glues bodies together as they come.
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def _read_lines(body: bytes) -> list[Record | BadLine]:
    """JSON Lines: split on b"\\n" alone, since U+2028 and its kin may stand inside a string."""
    numbered = _lines(body)
    # read() goes on behind a bad line, where iterating over the reader would stop.
    reader = jsonlines.Reader((line for _, line in numbered), loads=_loads)
    records: list[Record | BadLine] = []
    for number, _ in numbered:
        try:
            records.append(record(number, reader.read(allow_none=True)))
        except jsonlines.InvalidLineError as error:
            records.append(BadLine(number, _reason(error.__cause__)))
    return records


def _lines(body: bytes) -> list[tuple[int, bytes]]:
    """The lines of a body that are not blank, with their numbers, counted from 1."""
    # BytesIO ends lines at b"\n" alone, and shares the bytes of the body.
    lines = (line.removesuffix(b"\n") for line in io.BytesIO(body))
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    return _not_too_many(list(islice(numbered, MOST_RECORDS + 1)))


def _not_too_many(found: list[Any]) -> list[Any]:
    if len(found) > MOST_RECORDS:
        raise TooManyRecords(f"a body may hold {MOST_RECORDS:,} records; send the rest in another")
    return found


def _read_json(body: bytes) -> Body:
    """One JSON object, or a list of them; a record's number is its place in the list."""
    try:
        value = _loads(body.decode())
    except ValueError as error:
        bad = BadLine(getattr(error, "lineno", 1), _reason(error))
        raise BadRequest(f"the body is {bad.reason}", [bad]) from error
    if isinstance(value, list):
        return Body([record(number, item) for number, item in enumerate(_not_too_many(value), 1)])
    return Body([record(1, value)], single=True)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same key twice")
    return found


# Strict: https://www.rfc-editor.org/rfc/rfc8259 leaves duplicate names open, and has no NaN. An
# integer may be longer than Python likes to convert.
_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_object, parse_int=float)


def _loads(text: str | bytes) -> Any:
    """Decode JSON strictly, with no nesting beyond the interpreter's stack."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _reason(error: BaseException | None) -> str:
    """Why bytes could not be decoded, with the place but without the text itself."""
    if isinstance(error, UnicodeDecodeError):
        return f"not valid UTF-8: {error.reason} at byte {error.start}"
    if isinstance(error, json.JSONDecodeError):
        line = f"line {error.lineno}, " if error.lineno > 1 else ""  # of a JSON body
        what = error.msg.removesuffix(" at")  # of some of Python's messages
        return f"not valid JSON: {what} at {line}column {error.colno}"
    return f"not valid JSON: {error}"


def value(outcome: Outcome) -> dict[str, Any]:
    """Make the JSON object that answers a record."""
    if isinstance(outcome, BadLine):
        return {"error": outcome.reason}
    if isinstance(outcome, Labels):
        return {"predicted_labels": outcome.predicted_labels, "scores": outcome.scores}
    if isinstance(outcome, Values):
        values = outcome.predicted_values
        if len(values) == 1:
            return {"predicted_value": next(iter(values.values()))}
        return {"predicted_values": values}
    found = {"probability": outcome.probability, "predicted_label": outcome.predicted_label}
    return found if outcome.scores is None else {**found, "scores": outcome.scores}
