"""Read the requests to measure with, and make bodies of many records of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from rehearse.data_types import Invocation
from rehearse.errors import InputError

CONTENT_TYPE = "application/jsonlines"


def read(path: Path) -> list[bytes]:
    """Read JSON Lines, one record in each; raises InputError, which names the line."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: this is not JSON: {error}") from error
        records.append(line.strip())
    if not records:
        raise InputError(f"{path} has no records; write one JSON value in each line")
    return records


def invocation(records: Sequence[bytes], count: int = 1, first: int = 0) -> Invocation:
    """Make a request of so many records, from a first one on, and over again at the end."""
    chosen = islice(cycle(records), first % len(records), first % len(records) + count)
    return Invocation(b"\n".join(chosen) + b"\n", CONTENT_TYPE, CONTENT_TYPE)
