"""Read or make a trace: how many requests come in each minute."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rehearse.errors import InputError

if TYPE_CHECKING:
    import numpy as np

COLUMNS = ["minute", "requests"]
DAY = 24 * 60  # minutes
# One hour of "bursts": two minutes of requests, then silence.
HOUR, BURST = 60, 2
# A year of minutes, and the requests that a forecast of some minutes can take.
LONGEST, MOST = 366 * DAY, 20_000_000
SHAPES = ("steady", "diurnal", "bursts")


def read(path: Path) -> list[int]:
    """Read a CSV file with the columns minute and requests; return the requests of each minute.

    Minutes count from 0 and rise; those left out have no requests. Raises InputError, which
    names the line.
    """
    counts: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            if next(rows, None) != COLUMNS:
                raise InputError(f"{path}: the first line must be {','.join(COLUMNS)}")
            for row in filter(None, rows):
                minute, requests = _numbers(row, f"{path}, line {rows.line_num}")
                if not len(counts) <= minute < LONGEST:
                    raise InputError(
                        f"{path}, line {rows.line_num}: minutes must rise, and be less than "
                        f"{LONGEST}; this is {minute}"
                    )
                counts += [0] * (minute - len(counts)) + [requests]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file in UTF-8: {error}") from error
    return _checked(counts, str(path))


def make(shape: str, rate: float, days: float) -> list[int]:
    """Make a trace of one of the SHAPES; `rate` is the mean number of requests in a minute.

    "diurnal" swings between nothing at midnight and twice the mean at noon. "bursts" has the
    requests of an hour in its first two minutes. Raises InputError if there is no request.
    """
    minutes = max(round(days * DAY), 1)
    weights: Iterable[float] = {
        "steady": lambda: (1.0 for _ in range(minutes)),
        "diurnal": lambda: (1 - math.cos(2 * math.pi * (at + 0.5) / DAY) for at in range(minutes)),
        "bursts": lambda: (HOUR / BURST * (at % HOUR < BURST) for at in range(minutes)),
    }[shape]()
    return _checked(list(_whole(rate * weight for weight in weights)), shape)


def arrivals(counts: Iterable[int], random: np.random.Generator) -> np.ndarray:
    """Spread each minute's requests over it at random; return rising seconds, float64 (N,)."""
    import numpy as np

    found = np.repeat(np.arange(len(counts := list(counts))), counts)
    return np.sort((found + random.random(len(found))) * 60.0)


def _whole(amounts: Iterable[float]) -> Iterator[int]:
    """Round, and carry over what is left, so that few requests in a minute are not lost."""
    left = 0.0
    for amount in amounts:
        left += amount
        yield (whole := math.floor(left + 1e-9))
        left -= whole


def _numbers(row: list[str], where: str) -> tuple[int, int]:
    if len(row) != 2 or not all(cell.strip().isdecimal() for cell in row):
        raise InputError(
            f"{where}: two whole numbers are expected, minute,requests; this is {','.join(row)!r}"
        )
    return int(row[0]), int(row[1])


def _checked(counts: list[int], name: str) -> list[int]:
    total = sum(counts)
    if not total:
        raise InputError(f"{name} has no requests")
    if total > MOST:
        raise InputError(f"{name} has {total:,} requests; a forecast takes {MOST:,} at most")
    return counts
