"""A decoded JSON value in, the text in it or the reason why there is none out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model_handler import Output
from serve.errors import BadLine

EXPECTED = 'expected {"features": ["text"]}'
_TEXT_KEYS = ("features", "text", "inputs")

Outcome = Output | BadLine


@dataclass(frozen=True, slots=True)
class Record:
    """One text to score, and the number of its line in the body, counted from 1."""

    number: int
    text: str


def record(number: int, value: Any) -> Record | BadLine:
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
    try:
        text.encode()
    except UnicodeEncodeError:
        return BadLine(number, f'"{key}" holds half of a surrogate pair, which is no character')
    return Record(number, text)


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
