"""Write texts as a well-formed body, in one of the many ways that are accepted."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WORDS = "i love this product ok but not great is the right a it and good bad zip broke".split()
Value = Any  # a value of JSON


@dataclass(frozen=True)
class Body:
    """The bytes, their form, and the number of records; None where it may be refused."""

    content: bytes
    form: str  # lines, json or csv
    records: int | None = None


def text(chance: random.Random, secret: str) -> str:
    """Return a short review with a secret in it."""
    words = [*chance.choices(WORDS, k=chance.randint(0, 4)), secret]
    chance.shuffle(words)
    return " ".join(words)


def record(chance: random.Random, value: Value) -> dict[str, Value]:
    """Return a value as a record, in one of the accepted shapes."""
    name = chance.choice(("features", "features", "text", "inputs"))
    found = {name: [value] if chance.random() < 0.5 else value}
    more = {"id": chance.randrange(1000)} if chance.random() < 0.1 else {}
    return {**more, **found} if chance.random() < 0.5 else {**found, **more}


def as_lines(chance: random.Random, texts: Sequence[str]) -> Body:
    """Write JSON Lines."""
    end = chance.choice(("\n", "\n", "\n", "\r\n", "\n\n", " \n"))
    body = end.join(_dumps(chance, record(chance, text)) for text in texts)
    mark = "\ufeff" if chance.random() < 0.05 else ""
    return Body((mark + body + chance.choice(("", end))).encode(), "lines", len(texts))


def as_json(chance: random.Random, texts: Sequence[str]) -> Body:
    """Write a JSON list, or one object."""
    records = [record(chance, text) for text in texts]
    value = records[0] if len(records) == 1 and chance.random() < 0.5 else records
    indent = chance.choice((None, None, 2))
    body = json.dumps(value, ensure_ascii=chance.random() < 0.5, indent=indent)
    return Body(body.encode(), "json", len(texts))


def as_csv(chance: random.Random, texts: Sequence[str]) -> Body:
    """Write CSV: one text on each line, in quotes if it must be or by chance."""
    lines = [_quoted(text) if text[:1] == '"' or chance.random() < 0.5 else text for text in texts]
    end = chance.choice(("\n", "\r\n"))
    return Body((end.join(lines) + chance.choice(("", end))).encode(), "csv", len(texts))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _dumps(chance: random.Random, value: Value) -> str:
    separators = chance.choice((None, (",", ":"), (" ,\t", " :\r ")))
    return json.dumps(value, ensure_ascii=chance.random() < 0.5, separators=separators)
