"""Refuse a model that needs more memory than there is, before it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from model_handler import jsonfile
from model_handler.errors import ArtifactError
from model_handler.resources import Limits
from platform_facts import MEGABYTE, MEMORY_SIZES_MB


class Footprint(NamedTuple):
    """What serving a kind of model takes: bytes without weights, and the files of the weights.

    Of several patterns the first that fits a file counts.
    """

    base: int
    weights: tuple[str, ...]
    remedy: str


# Types of weights that take twice as much memory once they are float32.
HALVES = ("float16", "bfloat16")
# Peak resident size of all processes, less the weights, as the benchmarks measure it.
PACKED = Footprint(120 * MEGABYTE, ("model.bin",), "")
CHECKPOINT = Footprint(
    360 * MEGABYTE, ("*.safetensors", "*.bin"), ", or pack it with pack-model, which takes a third"
)


def check(directory: Path, footprint: Footprint, limits: Limits) -> None:
    """Raise ArtifactError if the model cannot fit, before the kernel kills the server for it."""
    found = (list(directory.glob(pattern)) for pattern in footprint.weights)
    size = sum(path.stat().st_size for path in next(filter(None, found), []))
    if footprint is CHECKPOINT and jsonfile.weight_type(directory) in HALVES:
        size *= 2
    needed = footprint.base + size
    if limits.memory is not None and needed > limits.memory:
        raise ArtifactError(
            f"the model needs about {needed // MEGABYTE:,} MB of memory and there are "
            f"{limits.memory // MEGABYTE:,}: {advice(needed)}{footprint.remedy}"
        )


def advice(needed: int) -> str:
    """Say what to do about a model that needs this many bytes."""
    fitting = next((size for size in MEMORY_SIZES_MB if size * MEGABYTE >= needed), None)
    if fitting is not None:
        return f"choose MemorySizeInMB {fitting}"
    return "no serverless endpoint has as much; choose an instance endpoint"
