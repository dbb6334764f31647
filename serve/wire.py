"""Body bytes to records or bad lines, and outcomes to body bytes: both directions in one place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jsonlines

from model_handler.labels import Prediction
from serve.errors import BadLine, BadRequest, UnsupportedMediaType

JSON = "application/json"
JSON_LINES = "application/jsonlines"
# The first of these is AWS's name; the others are in use for the same format.
LINE_TYPES = (JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson")

EXPECTED = 'expected {"features": ["text"]}'
_TEXT_KEYS = ("features", "text", "inputs")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """One text to score, and the number of its line in the body, counted from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a body holds, in order. `single` says it was one JSON object, outside any list."""

    records: list[Record | BadLine]
    single: bool = False


Outcome = Prediction | BadLine


def read(body: bytes, media_type: str) -> Body:
    """Read a body of the given media type, "" when none was sent.

    Raises UnsupportedMediaType, or BadRequest when there is no record in the body at all.
    """
    if media_type in ("", *LINE_TYPES):
        found = Body(_read_lines(body))
    elif media_type == JSON:
        found = _read_json(body)
    else:
        raise UnsupportedMediaType(
            f"Content-Type {media_type} cannot be read; send {JSON_LINES} or {JSON}"
        )
    if not found.records:
        raise BadRequest(f"the body holds no record; {EXPECTED} on each line")
    return found


def write(outcomes: Sequence[Outcome], media_type: str, single: bool) -> bytes:
    """Write one JSON value for each outcome: lines, or a JSON list, or one object if `single`."""
    values = list(map(_value, outcomes))
    if media_type == JSON:
        return json.dumps(values[0] if single else values).encode() + b"\n"
    # The last line is ended as well: Batch Transform glues bodies together as they come.
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def _read_lines(body: bytes) -> list[Record | BadLine]:
    """JSON Lines: split on b"\\n" alone, since U+2028 and its kin may stand inside a string."""
    lines = enumerate(body.removeprefix(_BOM).split(b"\n"), 1)
    numbered = [(number, line) for number, line in lines if line.strip()]
    # read() goes on behind a bad line, where iterating over the reader would stop.
    reader = jsonlines.Reader((line for _, line in numbered), loads=_loads)
    records: list[Record | BadLine] = []
    for number, _ in numbered:
        try:
            records.append(_record(number, reader.read(allow_none=True)))
        except jsonlines.InvalidLineError as error:
            records.append(BadLine(number, _reason(error.__cause__)))
    return records


def _read_json(body: bytes) -> Body:
    """One JSON object, or a list of them; a record's number is its place in the list."""
    try:
        value = _loads(body.removeprefix(_BOM).decode("utf-8"))
    except ValueError as error:
        raise BadRequest(f"the body is {_reason(error)}", [BadLine(1, _reason(error))]) from error
    if isinstance(value, list):
        return Body([_record(number, item) for number, item in enumerate(value, 1)])
    return Body([_record(1, value)], single=True)


def _record(number: int, value: Any) -> Record | BadLine:
    """A decoded JSON value as a record, or the reason why it is none."""
    if not isinstance(value, dict):
        hint = ""
        if value in _TEXT_KEYS:
            # The SageMaker SDK's JSONLinesSerializer iterates over a bare dict, by its keys.
            hint = "; if you use JSONLinesSerializer, pass a list of dicts, not one dict"
        return BadLine(number, f"{EXPECTED}, not {_kind(value)}{hint}")
    key = next((key for key in _TEXT_KEYS if key in value), None)
    if key is None:
        return BadLine(number, f'no "features" in the object; {EXPECTED}')
    text = value[key]
    if isinstance(text, list):
        if len(text) != 1:
            return BadLine(number, f'"{key}" holds {len(text)} items, not one text; {EXPECTED}')
        text = text[0]
    if not isinstance(text, str):
        return BadLine(number, f'"{key}" holds {_kind(text)}, not a text; {EXPECTED}')
    if any("\ud800" <= character <= "\udfff" for character in text):
        return BadLine(number, f'"{key}" holds half of a surrogate pair, which is no character')
    return Record(number, text)


def _loads(text: str | bytes) -> Any:
    """Decode JSON strictly: no NaN or Infinity, no nesting beyond the interpreter's stack."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")


def _reason(error: BaseException | None) -> str:
    """Why bytes could not be decoded, with the place but without the text itself."""
    if isinstance(error, UnicodeDecodeError):
        return f"not valid UTF-8: {error.reason} at byte {error.start}"
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {error.msg} at column {error.colno}"
    return f"not valid JSON: {error}"


def _kind(value: Any) -> str:
    """A JSON value's type, in the words of JSON."""
    names: Iterable[tuple[type, str]] = (
        (bool, "a boolean"),
        (dict, "an object"),
        (list, "a list"),
        (str, "a bare string"),
        (type(None), "null"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "a number")


def _value(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, BadLine):
        return {"error": outcome.reason}
    return {"probability": outcome.probability, "predicted_label": outcome.predicted_label}
