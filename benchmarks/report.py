"""What was measured of each server in, a Markdown page out."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

TOOLS = ("onnxruntime", "tokenizers", "numpy", "flask", "gunicorn", "torch", "transformers")


@dataclass
class Figures:
    """What was measured of one server: one value for each of its starts."""

    cold: list[float] = field(default_factory=list)  # ms
    warm: list[float] = field(default_factory=list)  # ms, the median of the requests of a start
    rss: list[float] = field(default_factory=list)  # MB
    pss: list[float] = field(default_factory=list)  # MB


def page(figures: dict[str, Figures], command: str, tokens: int, requests: int) -> str:
    """Markdown: medians, with the least and the most of all starts."""
    versions = ", ".join(f"{tool} {metadata.version(tool)}" for tool in TOOLS)
    starts = min(len(found.cold) for found in figures.values())
    table = "\n".join(
        f"| {name} | {_spread(found.cold)} | {_spread(found.warm, 1)} | {_spread(found.rss)} | "
        f"{_spread(found.pss)} |"
        for name, found in figures.items()
    )
    return f"""# Figures

    {command}

{starts} starts of each server, interleaved, on one CPU; the client is on another, if there is one.
Each figure is the median of the starts, with the least and the most in brackets.

| | cold start, ms | warm p50, ms | peak RSS, MB | PSS, MB |
|---|---|---|---|---|
{table}

- cold start: from exec of `serve` to the first correct prediction; its files are in the page cache
- warm p50: one record of {tokens} tokens over a kept connection, {requests} requests a start
- peak RSS: VmHWM of all processes, added up, so that shared pages count twice; PSS counts them once
  and is taken after the requests

{_cpu()}; Python {platform.python_version()}; {versions}.
"""


def _spread(values: Sequence[float], digits: int = 0) -> str:
    least, middle, most = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((x.partition(": ")[2] for x in lines if x.startswith("model name")), "CPU unknown")
