"""Read the texts to validate with: JSON Lines of records as the server takes them, with labels."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from model_handler.outputs import Label, ProblemType
from model_handler.tokens import Pairs, Text

TEXT_KEYS = ("features", "text", "inputs")
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class ExamplesError(Exception):
    """The file cannot be used; the message has the number of the line, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Task:
    """What the model answers: it decides what a label may be, and how pairs are written."""

    problem_type: ProblemType
    labels: tuple[Label, ...]
    pairs: Pairs = Pairs.TEXT_PAIR


@dataclass(frozen=True, slots=True)
class Example:
    """One text or pair, the number of its line, counted from 1, and what should be answered.

    `expected` has the places of the right labels among the model's (one, or any number of them), or
    the right values; it is None if the file's labels are not read.
    """

    number: int
    text: Text
    expected: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """A file of N examples, `rows`, each of which is right; `labelled`: each has a label.

    `numbers`: only the examples in these lines are meant; None: all.
    """

    path: Path
    task: Task
    labelled: bool
    rows: int
    numbers: frozenset[int] | None = None

    def __iter__(self) -> Iterator[Example]:
        for example in read(self.path, self.task, self.labelled):
            if self.numbers is None or example.number in self.numbers:
                yield example

    def part(self, numbers: frozenset[int]) -> Data:
        """Return the examples in these lines alone."""
        return replace(self, rows=len(numbers), numbers=numbers)


def open_data(path: Path, task: Task, labelled: bool | None = None) -> Data:
    """Read a file to its end; raises ExamplesError if a line is wrong or there is none.

    `labelled`: each example must have a label, or none is read; None: as the first example has it.
    """
    rows = 0
    for example in read(path, task, labelled):
        if rows == 0:
            labelled = example.expected is not None
        rows += 1
    if not rows:
        raise ExamplesError(f"{path} is empty; it needs a JSON object on each line")
    return Data(path, task, bool(labelled), rows)


def read(path: Path, task: Task, labelled: bool | None) -> Iterator[Example]:
    """Give the examples of a file one by one, their labels as `open_data` reads them.

    Raises ExamplesError at the first line that is wrong.
    """
    if not path.is_file():
        raise ExamplesError(f"{path} is not a file; name one with a JSON object on each line")
    number = 0
    try:
        with _open(path) as stream:
            for number, line in enumerate(stream, 1):
                if number == 1:
                    line = line.removeprefix(_BOM)
                if line.strip():
                    example = _example(number, line, task, labelled)
                    labelled = example.expected is not None
                    yield example
    except (ValueError, RecursionError) as error:
        raise ExamplesError(f"{path}, line {number}: {error}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ExamplesError(
            f"{path} is damaged behind line {number}: {error}; copy it again"
        ) from None
    except OSError as error:
        raise ExamplesError(f"{path} cannot be read: {error.strerror}") from None


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        packed = stream.read(len(_GZIP)) == _GZIP
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]  # a GzipFile reads as others do


def _example(number: int, line: bytes, task: Task, labelled: bool | None) -> Example:
    """Read one line; raises ValueError with what is wrong."""
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(value, dict):
        raise ValueError('not a JSON object; write {"text": "..."}')
    text = _text(value, task.pairs)
    if labelled is False or (labelled is None and "label" not in value):
        return Example(number, text)
    if "label" not in value:
        raise ValueError(f'no "label" in the object, {_found(value)}; add it, or set --no-labels')
    return Example(number, text, _expected(value["label"], task))


def _text(value: dict[str, Any], pairs: Pairs) -> Text:
    """Find the text or pair in a record; raises ValueError if there is none."""
    key = next((key for key in TEXT_KEYS if key in value), None)
    if key is None:
        raise ValueError(f'no "text", "features" or "inputs" in the object, {_found(value)}')
    found, second = value[key], value.get("text_pair")
    if isinstance(found, dict):
        found, second = value[key].get("text"), value[key].get("text_pair")
    if isinstance(found, list):
        if len(found) == 2 and pairs is Pairs.FEATURES:
            found, second = found
        elif len(found) == 1:
            (found,) = found
        else:
            hint = "; of two as a pair: --pairs" if len(found) == 2 else ""
            raise ValueError(f'"{key}" holds {len(found)} items, not one text{hint}')
    texts = [found] if second is None else [found, second]
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f'"{key}" holds no text, but {json.dumps(text)[:40]}')
        if not text.isascii():
            _check_characters(key, text)
    if len(texts) == 1:
        return str(found)
    if pairs is Pairs.REFUSED:
        raise ValueError("it is a pair of texts, and the model cannot tell one from the other")
    return str(found), str(second)


def _check_characters(key: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f'"{key}" holds half of a surrogate pair, no character') from error


def _found(value: dict[str, Any]) -> str:
    return f"found {', '.join(map(json.dumps, value))[:120] or 'nothing'}"


def _expected(label: Any, task: Task) -> tuple[float, ...]:
    """Read a label as places among the model's, or as values; raises ValueError."""
    if task.problem_type is ProblemType.VALUES:
        return _values(label, len(task.labels))
    places = {str(name): place for place, name in enumerate(task.labels)}
    several = task.problem_type is ProblemType.SEVERAL_LABELS
    if several and not isinstance(label, list):
        raise ValueError(f'"label" must be a list of labels, not {json.dumps(label)[:40]}')
    wanted = label if several else [label]
    for each in wanted:
        if (
            isinstance(each, bool | float)
            or not isinstance(each, int | str)
            or str(each) not in places
        ):
            known = ", ".join(map(json.dumps, task.labels))
            raise ValueError(
                f"label {json.dumps(each)[:80]} is none of the model's: {known[:200]}; "
                "--no-labels leaves labels unread"
            )
    return tuple(sorted({places[str(each)] for each in wanted}))


def _values(label: Any, count: int) -> tuple[float, ...]:
    values = label if isinstance(label, list) else [label]
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
    if len(values) != count or not numbers or not all(abs(each) < float("inf") for each in values):
        wanted = "a number" if count == 1 else f"a list of {count} numbers"
        raise ValueError(f'"label" must be {wanted}, not {json.dumps(label)[:40]}')
    return tuple(map(float, values))
