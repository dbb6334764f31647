"""Write README.md (the model card) of a packed model."""

from __future__ import annotations

import json
from pathlib import Path

from model_handler.manifest import Manifest


def write(
    directory: Path, manifest: Manifest, checkpoint: Path, drift: float, allowed: float
) -> None:
    """Write README.md: the checkpoint's own card, if it has one, and how it was packed."""
    own = checkpoint / "README.md"
    head = own.read_text(encoding="utf-8").rstrip() if own.exists() else f"# {checkpoint.name}"
    size = sum(path.stat().st_size for path in directory.iterdir()) / 1e6
    labels = ", ".join(map(json.dumps, manifest.labels))
    wide = manifest.source.get("wide")
    tools = ", ".join(
        f"{name} {version}" for name, version in manifest.source.items() if name != "wide"
    )
    (directory / "README.md").write_text(
        f"""{head}

## Packed

Packed by `pack-model` for onnxruntime: int8 weights (7 bits used), activations quantised token by
token, so that an answer does not depend on the rest of a batch, {size:.1f} MB.

- labels: {labels}
- texts are cut to {manifest.max_length} tokens
- the largest change of a logit on the probe texts is {drift:.3f} ({allowed:.3f} is allowed)
{f"- wider weights, since int8 alone changes more: {wide}" if wide else "- all weights are int8"}
- made from: {tools}
""",
        encoding="utf-8",
    )


def add(directory: Path, title: str, text: str) -> None:
    """Add a section to README.md."""
    with (directory / "README.md").open("a", encoding="utf-8") as stream:
        stream.write(f"\n## {title}\n\n{text}\n")
