"""Keep the chain of steps that a model was made by: chain.json, and a part of the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from compress.report import Report
from compress.source import WANTED, Source
from model_handler import jsonfile
from model_handler import manifest as manifests
from model_handler.errors import ArtifactError

NAME = "chain.json"
# The files that decide what a checkpoint answers.
_CONTENTS = (
    *(pattern for pattern in WANTED if pattern != "README.md"),
    "pytorch_model*.bin",
    "pytorch_model.bin.index.json",
)
_TOOLS = ("torch", "transformers", "onnxruntime")

# What one command did: "step" names it; "source" has the name and the sha256 of the checkpoint that
# it took, "settings" those that decide the result, with seeds, "tools" the versions of packages,
# "scores" the figures of the comparison of source and result, null if there was none. A step that
# wrote a checkpoint has the sha256 of that, "result".
Step = Mapping[str, Any]


def contents(directory: Path) -> list[Path]:
    """Find the files of a checkpoint that decide what it answers, by their names."""
    return sorted(
        path
        for path in directory.iterdir()
        if path.is_file() and any(path.match(pattern) for pattern in _CONTENTS)
    )


def sha256(directory: Path) -> str:
    """Compute one sha256, in hexadecimal, of a checkpoint: of what sha256sum prints of its files.

    It is that of `LC_ALL=C sha256sum FILES | sha256sum`, for the files that `contents` finds.
    """
    lines = (f"{manifests.sha256(path)}  {path.name}\n" for path in contents(directory))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def step(command: str, source: Source, settings: Mapping[str, Any], report: Report | None) -> Step:
    """Describe what a command did with a checkpoint, and how the result compared, if it did."""
    return {
        "step": command,
        "source": {"name": source.name, "sha256": sha256(source.directory)},
        "settings": dict(settings),
        "tools": {tool: metadata.version(tool) for tool in _TOOLS},
        "scores": report.figures() if report else None,
    }


def read(checkpoint: Path) -> tuple[Step, ...]:
    """Read the steps that a checkpoint was made by, none if it has no chain.json.

    Raises ArtifactError if that is damaged, or tells of other weights than there are.
    """
    path = checkpoint / NAME
    if not path.exists():
        return ()
    try:
        steps = tuple(jsonfile.read(path)["steps"])
        result = steps[-1]["result"]
    except (KeyError, IndexError, TypeError) as error:
        raise ArtifactError(f"{path} is not one of shrink-model: {error!r}; delete it") from error
    if result != sha256(checkpoint):
        raise ArtifactError(
            f"{path} tells how other weights were made than those beside it; if you have trained "
            "them further, delete it"
        )
    return steps


def write(made: Path, steps: Sequence[Step]) -> None:
    """Write chain.json beside a checkpoint; the last step is the one that made it."""
    *earlier, last = steps
    found = {"steps": [*earlier, {**last, "result": sha256(made)}]}
    (made / NAME).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
