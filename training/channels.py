"""Read the labelled texts of a channel: JSON Lines, or the CSV file of the reviews."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from training.job import JobError

Label = int | str

# Columns of "Womens Clothing E-Commerce Reviews.csv", and the label of each number of stars:
# https://www.kaggle.com/datasets/nicapotato/womens-ecommerce-clothing-reviews
REVIEW, RATING = "Review Text", "Rating"
STARS: dict[str, Label] = {"1": -1, "2": -1, "3": 0, "4": 1, "5": 1}
# Of the examples, where there is no validation channel.
HELD_OUT = 0.1


@dataclass(frozen=True)
class Example:
    """A text and its label, and where they stand."""

    text: str
    label: Label
    where: str


@dataclass(frozen=True)
class Examples:
    """All examples of a channel; `dropped` rows have no text."""

    rows: tuple[Example, ...]
    dropped: int = 0


def read(channel: Path) -> Examples:
    """Read all files of a channel; raises JobError, which names file and line."""
    files = [
        path
        for path in sorted(channel.rglob("*"))
        if path.is_file() and not path.relative_to(channel).as_posix().startswith(".")
    ]
    if not files:
        raise JobError(f"{channel} has no files; put JSON Lines or a CSV file there")
    rows: list[Example] = []
    dropped = 0
    for path in files:
        found = list(_read(path))
        kept = [row for row in found if row.text.strip()]
        if not kept:
            raise JobError(f"{path} has no examples; each line is one, with a text and a label")
        dropped += len(found) - len(kept)
        rows += kept
    return Examples(tuple(rows), dropped)


def labels_of(rows: Sequence[Example]) -> tuple[Label, ...]:
    """Return the labels in their order; raises JobError for mixed types, or a single label."""
    kinds = {type(row.label): row for row in rows}
    if len(kinds) > 1:
        one, other = kinds.values()
        raise JobError(
            f"labels must be all numbers or all texts: {one.where} has {json.dumps(one.label)}, "
            f"{other.where} has {json.dumps(other.label)}"
        )
    found = sorted({row.label for row in rows})
    if len(found) < 2:
        raise JobError(f"all examples have the label {json.dumps(found[0])}; two are necessary")
    return tuple(found)


def check_known(rows: Iterable[Example], labels: Sequence[Label]) -> None:
    """Raise JobError if an example has a label that no training example has."""
    for row in rows:
        if row.label not in labels:
            known = ", ".join(map(json.dumps, labels))
            raise JobError(
                f"{row.where}: label {json.dumps(row.label)} is in no training example: {known}"
            )


def split(rows: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Keep a part of each label's examples aside, by chance; the rest comes first.

    Raises JobError for a label that stands in a single example.
    """
    mixed = list(rows)
    random.Random(seed).shuffle(mixed)
    by_label: dict[Label, list[Example]] = {}
    for row in mixed:
        by_label.setdefault(row.label, []).append(row)
    kept: set[Example] = set()
    for label, found in by_label.items():
        if len(found) == 1:
            raise JobError(
                f"label {json.dumps(label)} is in a single example, {found[0].where}; to keep one "
                "aside it needs two, or a channel validation"
            )
        kept.update(found[: max(round(HELD_OUT * len(found)), 1)])
    return [row for row in mixed if row not in kept], [row for row in mixed if row in kept]


def _read(path: Path) -> Iterator[Example]:
    reading = _csv if path.name.removesuffix(".gz").endswith(".csv") else _json_lines
    try:
        with _open(path) as stream:
            yield from reading(stream, path.name)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise JobError(f"{path.name} is damaged: {error}; copy it again") from error


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _json_lines(stream: IO[bytes], name: str) -> Iterator[Example]:
    for number, line in enumerate(stream, 1):
        where = f"{name}, line {number}"
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError as error:
            raise JobError(f"{where}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
        except ValueError as error:
            raise JobError(f"{where}: not JSON: {error}") from error
        yield _example(value, where)


def _example(value: Any, where: str) -> Example:
    if not isinstance(value, dict):
        raise JobError(f'{where}: expected {{"text": "...", "label": ...}}')
    text = value.get("text", value.get("features"))
    if isinstance(text, list) and len(text) == 1:
        (text,) = text
    if not isinstance(text, str):
        raise JobError(f'{where}: no "text" or "features" with one text; {_keys(value)}')
    label = value.get("label")
    if isinstance(label, bool) or not isinstance(label, int | str):
        found = json.dumps(label)[:40] if "label" in value else f"none; {_keys(value)}"
        raise JobError(f'{where}: "label" must be a whole number or a text, found {found}')
    return Example(text, label, where)


def _keys(value: dict[str, Any]) -> str:
    return f"its keys are {', '.join(map(json.dumps, value))[:120] or 'none'}"


def _csv(stream: IO[bytes], name: str) -> Iterator[Example]:
    # utf-8-sig: without the mark that Excel puts first. newline="": line ends in texts stay.
    rows = csv.DictReader(io.TextIOWrapper(stream, "utf-8-sig", newline=""))
    try:
        _check_columns(rows.fieldnames or [], name)
        for row in rows:
            where = f"{name}, line {rows.line_num}"
            stars = (row[RATING] or "").strip()
            if stars not in STARS:
                raise JobError(f"{where}: {RATING} must be 1 to 5, not {stars[:40]!r}")
            yield Example(row[REVIEW] or "", STARS[stars], where)
    except UnicodeDecodeError as error:
        raise JobError(
            f"{name}, behind line {rows.line_num}: not UTF-8; save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise JobError(f"{name}, line {rows.line_num}: not CSV: {error}") from error


def _check_columns(columns: Sequence[str], name: str) -> None:
    missing = [column for column in (REVIEW, RATING) if column not in columns]
    if missing:
        raise JobError(
            f"{name}, line 1: no column {' and '.join(missing)}; its columns are "
            f"{', '.join(columns)[:200] or 'none'}"
        )
