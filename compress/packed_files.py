"""Write the files beside the graph of a packed model: tokenizer.json and README.md, its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from model_handler.manifest import Manifest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"
CARD = "README.md"


def write_tokenizer(directory: Path, tokenizer: Tokenizer) -> None:
    """Write tokenizer.json in the form that is read fastest.

    Without white space, and the merges of a BPE as "a b", not ["a", "b"]: both mean the same; this
    one is read a third faster. It cannot hold tokens with spaces, which byte-level vocabularies do
    not have.
    """
    fields = json.loads(tokenizer.to_str())
    merges = fields["model"].get("merges")
    if merges and not any(" " in part for pair in merges for part in pair):
        fields["model"]["merges"] = [" ".join(pair) for pair in merges]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    (directory / TOKENIZER).write_text(text, encoding="utf-8")


def write_card(
    directory: Path, manifest: Manifest, checkpoint: Path, drift: float, allowed: float
) -> None:
    """Write README.md: the checkpoint's own card, if it has one, and how it was packed."""
    own = checkpoint / CARD
    head = own.read_text(encoding="utf-8").rstrip() if own.exists() else f"# {checkpoint.name}"
    size = sum(path.stat().st_size for path in directory.iterdir()) / 1e6
    labels = ", ".join(map(json.dumps, manifest.labels))
    wide = manifest.source.get("wide")
    tools = ", ".join(
        f"{name} {version}" for name, version in manifest.source.items() if name != "wide"
    )
    (directory / CARD).write_text(
        f"""{head}

## Packed

Packed by `pack-model` for onnxruntime: int8 weights (7 bits used) and activations, by
scales that let no answer depend on the rest of its batch, {size:.1f} MB.

- labels: {labels}
- texts are cut to {manifest.max_length} tokens
- the largest change of a logit on the probe texts is {drift:.3f} ({allowed:.3f} is allowed)
{f"- wider weights, since int8 alone changes more: {wide}" if wide else "- all weights are int8"}
- made from: {tools}
""",
        encoding="utf-8",
    )


def add_to_card(directory: Path, title: str, text: str) -> None:
    """Add a section to README.md."""
    with (directory / CARD).open("a", encoding="utf-8") as stream:
        stream.write(f"\n## {title}\n\n{text}\n")
