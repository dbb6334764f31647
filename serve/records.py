"""Extract the text or pair of texts from a decoded JSON value, or say why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from model_handler import Output, Pairs, Text
from serve.errors import BadLine, clip

EXPECTED = 'expected {"features": ["text"]}'
NO_PAIRS = "this model was made for single texts and cannot read a pair of them"
_TEXT_KEYS = ("features", "text", "inputs")

Outcome = Output | BadLine


class Record(NamedTuple):
    """A text or pair of texts to score, and the number of its line in the body, counted from 1.

    `wrong`: the reason why it is no record unless the model reads pairs where this one stood.
    """

    number: int
    text: Text
    wrong: str = ""


class BadRecordError(Exception):
    """A value is no record; the message says why."""


def record(number: int, value: Any) -> Record | BadLine:
    """Make a record of a decoded JSON value, or give the reason why it is none."""
    try:
        return _record(number, value)
    except BadRecordError as error:
        return BadLine(number, str(error))


def only_readable(records: Sequence[Record | BadLine], pairs: Pairs) -> list[Record | BadLine]:
    """Replace each pair of texts that the model does not read by the reason."""
    return [_readable(each, pairs) for each in records]


def _readable(found: Record | BadLine, pairs: Pairs) -> Record | BadLine:
    if isinstance(found, BadLine) or isinstance(found.text, str):
        return found
    if found.wrong and pairs is not Pairs.FEATURES:
        hint = "; TEXT_PAIRS=1 or pack-model --pairs make a pair of two texts"
        return BadLine(found.number, found.wrong + (hint if pairs is Pairs.TEXT_PAIR else ""))
    return BadLine(found.number, NO_PAIRS) if pairs is Pairs.REFUSED else found


def _record(number: int, value: Any) -> Record:
    if not isinstance(value, dict):
        hint = ""
        if value in _TEXT_KEYS:
            # The SageMaker SDK's JSONLinesSerializer iterates over a bare dict, by its keys.
            hint = "; if you use JSONLinesSerializer, pass a list of dicts, not one dict"
        raise BadRecordError(f"{EXPECTED}, not {kind(value)}{hint}")
    key = next((key for key in _TEXT_KEYS if key in value), None)
    if key is None:
        raise BadRecordError(f'no "features" in the object; {EXPECTED}')
    if value.get("parameters"):
        raise BadRecordError(_parameters(value["parameters"]))
    found, second = value[key], value.get("text_pair")
    if second is not None and key != "text":
        raise BadRecordError(f'"text_pair" stands beside "text", not beside "{key}"')
    if key == "features" and _two_texts(found):
        both = text(found[0], '"features"', EXPECTED), text(found[1], '"features"', EXPECTED)
        return Record(number, both, f'"features" holds 2 items, not one text; {EXPECTED}')
    if isinstance(found, list):
        found = _only(key, found)
    if key == "inputs" and isinstance(found, dict):
        return Record(number, pair(found, '"inputs"'))
    first = text(found, f'"{key}"', EXPECTED)
    return Record(
        number, first if second is None else (first, text(second, '"text_pair"', EXPECTED))
    )


def _two_texts(value: Any) -> bool:
    return isinstance(value, list) and list(map(type, value)) == [str, str]


def _only(key: str, found: list[Any]) -> Any:
    if len(found) == 1:
        return found[0]
    hint = "; RESPONSE_FORMAT=huggingface reads lists" if key == "inputs" and found else ""
    raise BadRecordError(f'"{key}" holds {len(found)} items, not one text; {EXPECTED}{hint}')


def pair(value: dict[str, Any], name: str) -> Text:
    """Extract the texts of {"text": ..., "text_pair": ...} or "text"; raise BadRecordError."""
    expected = 'expected {"text": ..., "text_pair": ...}'
    other = next((key for key in value if key not in ("text", "text_pair")), None)
    if other is not None or "text" not in value:
        what = 'without "text"' if other is None else f'with "{clip(other)}"'
        raise BadRecordError(f"{name} holds an object {what}; {expected}")
    first = text(value["text"], '"text"', expected)
    if value.get("text_pair") is None:
        return first
    return first, text(value["text_pair"], '"text_pair"', expected)


def text(value: Any, name: str, expected: str) -> str:
    """Return a value that is a text; raise BadRecordError that names where it stood."""
    if not isinstance(value, str):
        raise BadRecordError(f"{name} holds {kind(value)}, not a text; {expected}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRecordError(
            f"{name} holds half of a surrogate pair, which is no character"
        ) from None
    return value


def _parameters(value: Any) -> str:
    if not isinstance(value, dict):
        return f'"parameters" holds {kind(value)}, not an object'
    return (
        f'"parameters" holds "{clip(next(iter(value)))}", and none is read here; '
        "RESPONSE_FORMAT=huggingface reads top_k, function_to_apply and truncation"
    )


def kind(value: Any) -> str:
    """Name a JSON value's type in the words of JSON."""
    names: Iterable[tuple[type, str]] = (
        (bool, "a boolean"),
        (dict, "an object"),
        (list, "a list"),
        (str, "a bare string"),
        (type(None), "null"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "a number")
