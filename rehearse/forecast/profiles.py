"""Read a profile: the times that an image was measured to take at each memory size."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearse.errors import InputError

EXAMPLE = Path(__file__).with_name("example.json")
# What is measured of a memory size, in milliseconds; each is a list, from which a forecast draws.
TIMES = ("setup_ms", "first_ms", "warm_ms")


@dataclass(frozen=True)
class Times:
    """What calls took at one memory size, in milliseconds, in the terms of CloudWatch's metrics.

    `setup`: ModelSetupTime, from the start of a container to its first good ping. `first` and
    `warm`: ModelLatency of the first call of a container, and of others.
    https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html
    """

    setup: tuple[float, ...]
    first: tuple[float, ...]
    warm: tuple[float, ...]


@dataclass(frozen=True)
class Profile:
    """The times of an image by memory size in MB, and how they were measured."""

    image: str
    cpu: str
    bytes: int  # of a request and its answer
    memory: dict[int, Times]

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        sizes = {
            str(size): {
                name: [round(value, 3) for value in values]
                for name, values in zip(TIMES, (times.setup, times.first, times.warm), strict=True)
            }
            for size, times in self.memory.items()
        }
        found = {"image": self.image, "cpu": self.cpu, "bytes": self.bytes, "memory": sizes}
        path.write_text(json.dumps(found) + "\n", encoding="utf-8")

    @property
    def smallest(self) -> int:
        """The smallest memory size that was measured, in MB."""
        return min(self.memory)

    def times(self, memory_mb: int) -> Times:
        """Return the times of a memory size; raises InputError if it was not measured."""
        if memory_mb not in self.memory:
            known = ", ".join(map(str, sorted(self.memory)))
            raise InputError(f"the profile has no memory size of {memory_mb} MB; it has {known}")
        return self.memory[memory_mb]


def read(path: Path) -> Profile:
    """Read a profile; raises InputError with the reason."""
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
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no profile: {error}") from error
    except KeyError as error:
        raise InputError(f"{path} is no profile: it has no {error}") from error
    except (TypeError, AttributeError) as error:
        raise InputError(f"{path} is no profile: {error}") from error


def _times(found: dict[str, list[float]]) -> Times:
    """Check the times of one memory size; raises ValueError if one is missing or no time."""
    times = [tuple(map(float, found[name])) for name in TIMES]
    for name, values in zip(TIMES, times, strict=True):
        if not values or not all(0 <= value < float("inf") for value in values):
            raise ValueError(f"{name} must be a list of milliseconds")
    return Times(*times)
