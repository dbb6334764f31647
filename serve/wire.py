"""Read bodies as records or bad lines, and write what became of them as the body of an answer."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import jsonlines

from model_handler import Handler, Labels, Scored, Values
from serve import csv_lines
from serve.errors import BadLine, BadRequest, TooManyRecords, UnsupportedMediaType, clip
from serve.records import EXPECTED, Outcome, Record, only_readable, record

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
# The first of these is AWS's name; the others are in use for the same format.
LINE_TYPES = (JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson")
OFFERED = (*LINE_TYPES, JSON, CSV)
READABLE = (JSON_LINES, JSON, CSV)  # with the other names of the first

# The answer to more would be larger than any endpoint passes on, and lines of a byte or two would
# take a gigabyte of memory.
MOST_RECORDS = 500_000

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b\x08"


T = TypeVar("T")


class Body(NamedTuple):
    """What a body holds, in order. `single` says it was one JSON object, outside any list."""

    records: list[Record | BadLine]
    single: bool = False


def usual(media_type: str) -> str:
    """Return the type of an answer where the client has not asked for one."""
    return CSV if media_type == CSV else JSON_LINES


def read(body: bytes, media_type: str) -> Body:
    """Read a body of the given media type, "" when none was sent.

    Raise UnsupportedMediaType, TooManyRecords, or BadRequest when there is no record at all.
    """
    if media_type == CSV:
        found = Body(csv_lines.read(_lines(_bare(body))))
    else:
        found = Body(*decode(body, media_type, record))
    if not found.records:
        raise BadRequest(f"the body holds no record; {EXPECTED} on each line")
    return found


def decode(
    body: bytes, media_type: str, parse: Callable[[int, Any], T | BadLine]
) -> tuple[list[T | BadLine], bool]:
    """Decode JSON Lines or JSON, and parse each value; True for a single object.

    `parse` is given the number of a value and the value. Raise what `read` raises.
    """
    body = _bare(body)
    if media_type in ("", *LINE_TYPES):
        return _read_lines(body, parse), False
    if media_type == JSON:
        return _read_json(body, parse)
    raise unreadable(media_type)


def unreadable(media_type: str, readable: Sequence[str] = READABLE) -> UnsupportedMediaType:
    """Return the error that says which types can be read, since this one cannot."""
    return UnsupportedMediaType(
        f"Content-Type {clip(media_type)} cannot be read; send "
        f"{', '.join(readable[:-1])} or {readable[-1]}"
    )


def needs_model(body: Body) -> bool:
    """Return whether the model decides which of the records can be read: there are pairs."""
    return any(isinstance(each, Record) and isinstance(each.text, tuple) for each in body.records)


def for_model(body: Body, handler: Handler, deadline: float) -> Body:
    """Replace what this model cannot read by the reason; load the model for that."""
    return body._replace(records=only_readable(body.records, handler.load(deadline).pairs))


def answer(body: Body, scored: Scored, media_type: str) -> bytes:
    """Write what became of each record of a body, in order; a bad line is its own outcome."""
    predictions = iter(scored.predictions)
    outcomes = [next(predictions) if isinstance(each, Record) else each for each in body.records]
    return write(outcomes, media_type, body.single)


def write(outcomes: Sequence[Outcome], media_type: str, single: bool) -> bytes:
    """Write one JSON value for each outcome: lines, or a JSON list, or one object if `single`.

    As CSV: see serve/csv_lines.py.
    """
    if media_type == CSV:
        return csv_lines.write(outcomes)
    return encode(list(map(value, outcomes)), media_type, single)


def encode(values: Sequence[Any], media_type: str, single: bool) -> bytes:
    """Write JSON values as lines, or as JSON: a list, or the only value if `single`."""
    if media_type == JSON:
        return _dumps(values[0] if single else values)
    # The last line is ended as well: Batch Transform glues bodies together as they come.
    return b"".join(map(_dumps, values))


def _dumps(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode() + b"\n"


def _bare(body: bytes) -> bytes:
    if body.startswith(_GZIP):
        raise BadRequest("the body is compressed with gzip; send it as it is")
    return body.removeprefix(_BOM)


def _read_lines(body: bytes, parse: Callable[[int, Any], T | BadLine]) -> list[T | BadLine]:
    """Read JSON Lines, split at b"\\n" alone, since U+2028 and the like may stand in a string."""
    numbered = _lines(body)
    # read() goes on behind a bad line, where iterating over the reader would stop.
    reader = jsonlines.Reader((line for _, line in numbered), loads=_loads)
    records: list[T | BadLine] = []
    for number, _ in numbered:
        try:
            records.append(parse(number, reader.read(allow_none=True)))
        except jsonlines.InvalidLineError as error:
            records.append(BadLine(number, _reason(error.__cause__)))
    return records


def _lines(body: bytes) -> list[tuple[int, bytes]]:
    """Return the lines of a body that are not blank, with their numbers, counted from 1."""
    # BytesIO ends lines at b"\n" alone, and shares the bytes of the body.
    lines = (line.removesuffix(b"\n") for line in io.BytesIO(body))
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    return not_too_many(list(islice(numbered, MOST_RECORDS + 1)))


def not_too_many(found: list[Any]) -> list[Any]:
    """Return what are records as they are; raise TooManyRecords if a body may not hold so many."""
    if len(found) > MOST_RECORDS:
        raise TooManyRecords(f"a body may hold {MOST_RECORDS:,} records; send the rest in another")
    return found


def _read_json(
    body: bytes, parse: Callable[[int, Any], T | BadLine]
) -> tuple[list[T | BadLine], bool]:
    """Read one JSON object or a list of them; a record's number is its place in the list."""
    try:
        value = _loads(body.decode())
    except ValueError as error:
        bad = BadLine(getattr(error, "lineno", 1), _reason(error))
        raise BadRequest(f"the body is {bad.reason}", [bad]) from error
    if isinstance(value, list):
        return [parse(number, item) for number, item in enumerate(not_too_many(value), 1)], False
    return [parse(1, value)], True


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
    """Return why bytes could not be decoded, with the place but without the text itself."""
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
