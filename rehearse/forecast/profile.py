"""Read a profile: the times that an image was measured to take at each memory size."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearse.errors import ForecastError

EXAMPLE = Path(__file__).with_name("example.json")
# What is measured of a memory size, in milliseconds; each is a list, from which a forecast draws.
TIMES = ("setup_ms", "first_ms", "warm_ms", "overhead_ms")


@dataclass(frozen=True)
class Times:
    """What calls took at one memory size, in milliseconds, in the terms of CloudWatch's metrics.

    `setup`: ModelSetupTime, from the start of a container to its first good ping. `first` and
    `warm`: ModelLatency of the first call of a container, and of others. `overhead`:
    OverheadLatency without the setup.
    https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html
    """

    setup: tuple[float, ...]
    first: tuple[float, ...]
    warm: tuple[float, ...]
    overhead: tuple[float, ...]


@dataclass(frozen=True)
class Profile:
    """The times of an image by memory size in MB, and how they were measured."""

    image: str
    cpu: str
    bytes: int  # of a request and its answer
    memory: dict[int, Times]

    def times(self, memory_mb: int | None) -> tuple[int, Times]:
        """Return the times of a memory size, of the smallest where none is named.

        Raises ForecastError if it was not measured.
        """
        chosen = min(self.memory) if memory_mb is None else memory_mb
        if chosen not in self.memory:
            known = ", ".join(map(str, sorted(self.memory)))
            raise ForecastError(f"the profile has no memory size of {chosen} MB; it has {known}")
        return chosen, self.memory[chosen]


def read(path: Path) -> Profile:
    """Read a profile; raises ForecastError with the reason."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not found["memory"]:
            raise ValueError("it has no memory size")
        return Profile(
            image=str(found["image"]),
            cpu=str(found["cpu"]),
            bytes=int(found["bytes"]),
            memory={int(size): _times(times) for size, times in found["memory"].items()},
        )
    except OSError as error:
        raise ForecastError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ForecastError(f"{path} is no profile: {error}") from error
    except KeyError as error:
        raise ForecastError(f"{path} is no profile: it has no {error}") from error
    except (TypeError, AttributeError) as error:
        raise ForecastError(f"{path} is no profile: {error}") from error


def _times(found: dict[str, list[float]]) -> Times:
    """Check the times of one memory size; raises ValueError if one is missing or no time."""
    times = [tuple(map(float, found[name])) for name in TIMES]
    for name, values in zip(TIMES, times, strict=True):
        if not values or not all(0 <= value < float("inf") for value in values):
            raise ValueError(f"{name} must be a list of milliseconds")
    return Times(*times)
