"""Divide what a start takes by its causes: CPU time by stages, and blocks by files."""

from __future__ import annotations

import statistics
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from benchmarks.coldstart import stages
from benchmarks.coldstart.blocks import Touched
from benchmarks.harness import pages, servers
from benchmarks.harness.results import Results

REST = "C library and others"
# Stages, and how the paths of files begin once `shown` has shortened them; the first that fits.
CAUSES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Python, its standard library": (("interpreter",), ("python/",)),
    "numpy": (("import numpy",), ("packages/numpy",)),
    "onnxruntime": (("import onnxruntime",), ("packages/onnxruntime",)),
    "tokenizer": (
        ("import tokenizers", "import tokie", "tokenizer"),
        ("packages/tokenizers", "packages/tokie", "model/tokenizer"),
    ),
    "model": (("check files", "session", "probe run", "graph run"), ("model/",)),
    "this project": (
        ("import serve", "app", "create_app", "model load", "first request"),
        ("serve/", "model_handler/", "platform_facts/"),
    ),
    "gunicorn, Flask, their packages": (("import ", "gunicorn "), ("packages/",)),
    REST: (("",), ("",)),
}
GREATEST = 12


def add(touched: Sequence[Touched], model: Path, who: str, found: Results) -> None:
    """Add what a start of a model touched, in all, by cause and by file."""
    found.add(who, _figures(touched))
    named = [(each, shown(each.file, model)) for each in touched]
    for cause in CAUSES:
        own = [each for each, name in named if _of_file(name) == cause]
        found.add(f"{who}: {cause}", _figures(own))
    for each, name in named[:GREATEST]:
        size = each.file.stat().st_size / 1e6
        found.add(f"{who}: {name}", {**_figures([each]), "file_mb": size})


def _figures(touched: Sequence[Touched]) -> dict[str, float]:
    return {
        "blocks": sum(each.blocks for each in touched),
        "block_mb": sum(each.bytes for each in touched) / 1e6,
    }


def shown(file: Path, model: Path) -> str:
    """Name a file without the folders of this machine, which are nobody's business."""
    folders = (
        (model, "model"),
        (Path(sysconfig.get_path("purelib")), "packages"),
        (Path(sys.base_prefix) / "lib", "python"),
        (Path(sys.base_prefix), "python"),
        (servers.ROOT, ""),
    )
    for folder, name in folders:
        if file.is_relative_to(folder):
            return (Path(name) / file.relative_to(folder)).as_posix()
    return file.name


def _of_file(name: str) -> str:
    return next(cause for cause, (_, begins) in CAUSES.items() if name.startswith(begins))


def _of_stage(name: str) -> str:
    begins = ((cause, stages) for cause, (stages, _) in CAUSES.items())
    return next(cause for cause, names in begins if name.startswith(names))


def table(found: Results, who: str) -> str:
    """Write a line for each cause: CPU time by the tracer, blocks and their bytes."""
    cpu = dict.fromkeys(CAUSES, 0.0)
    for stage, milliseconds in stages.own_cpu(found, who).items():
        cpu[_of_stage(stage)] += milliseconds
    lines = []
    for cause in CAUSES:
        blocks, size = (_median(found, what, f"{who}: {cause}") for what in ("blocks", "block_mb"))
        own = f"{cpu[cause]:.0f}" if cpu[cause] else ""
        lines.append([cause, own, f"{blocks:.0f}", f"{size:.1f}"])
    heads = ("cause", "CPU, ms", "blocks", "MB of them")
    return pages.table(heads, lines)


def greatest(found: Results, who: str) -> str:
    """Write a line for each of the files of which most is touched."""
    lines = []
    for name, (size, *_) in found.values.get("file_mb", {}).items():
        if name.startswith(f"{who}: "):
            blocks, touched = (_median(found, what, name) for what in ("blocks", "block_mb"))
            file = name.removeprefix(f"{who}: ")
            lines.append([file, f"{blocks:.0f}", f"{touched:.1f}", f"{size:.1f}"])
    return pages.table(("file", "blocks", "MB of them", "MB of the file"), lines)


def _median(found: Results, what: str, who: str) -> float:
    return statistics.median(found.of(what, who) or [0.0])
