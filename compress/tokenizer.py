"""A tokenizer in, the form of its tokenizer.json that is read fastest out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def save(tokenizer: Tokenizer, path: Path) -> None:
    """Write tokenizer.json without white space, and the merges of a BPE as "a b", not ["a", "b"].

    Both forms mean the same; this one is read a third faster. It cannot hold tokens with spaces,
    which byte-level vocabularies do not have.
    """
    fields = json.loads(tokenizer.to_str())
    merges = fields["model"].get("merges")
    if merges and not any(" " in part for pair in merges for part in pair):
        fields["model"]["merges"] = [" ".join(pair) for pair in merges]
    path.write_text(json.dumps(fields, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
