"""Check how every architecture is served and packed, and write docs/models.md.

python -m benchmarks models [--check NAME ...]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.models import architectures
from model_handler import Handler, Limits, ModelError, Values

if TYPE_CHECKING:
    import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
TEXTS = (
    "I love this product!",
    "OK, but not great.",
    "zip broke",
    "The zip broke on day two and nobody answers my mails. Never again.",
    "It fits, it was warm and cheap. Never in a darker colour than in the picture, though. " * 3,
    "good " * 600,
)
# How far a logit may be from transformers' own, as a part of how far texts' logits are apart.
CLOSE = 1e-4
HEAD = """# Models

Any Hugging Face checkpoint for sequence classification is served as it is, or refused in one line
that says what to do; `pack-model` makes smaller and faster models of many. This table is made by
`python -m benchmarks models` from tiny checkpoints with random weights, made by
[benchmarks/models/architectures.py](../benchmarks/models/architectures.py); a test keeps it true.

- **served**: each of seven texts, alone and all in one request, gets the logits that transformers
  gives it alone, within 1/10,000 of how far those of the texts are apart.
- **padding**: *none* where a longer text beside it would change the answer to a shorter one: only
  texts of the same number of tokens run together then.
- **packed**: what `pack-model` says to the same checkpoint.
- **checked with**: the class of transformers {transformers}, and the largest difference found, as
  such a part.

| architecture | served | padding | packed | checked with |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Result:
    """A row of the table."""

    name: str
    served: str
    padding: str
    packed: str
    checked: str

    def line(self) -> str:
        """The row in Markdown."""
        cells = (f"`{self.name}`", self.served, self.padding, self.packed, self.checked)
        return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check",
        nargs="+",
        metavar="NAME",
        choices=architectures.NAMES,
        help="only compare what is found for these with the page; exit code 1 if it differs",
    )
    options = parser.parse_args(arguments)
    if options.check:
        wrong = differences(options.check)
        sys.exit("\n".join(wrong) or 0)
    import transformers

    rows = []
    for name in architectures.NAMES:
        rows.append(examine(name).line() + "\n")
        print(rows[-1], end="", flush=True)
    PAGE.write_text(HEAD.format(transformers=transformers.__version__) + "".join(rows))


def differences(names: Sequence[str]) -> list[str]:
    """What the page does not have, or has otherwise than it is now, but for what is packed."""
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    there = {row[0].strip("| `"): row[1:3] for row in rows}
    wrong = [f"docs/models.md lacks {name}" for name in architectures.NAMES if name not in there]
    wrong += [f"docs/models.md has {name}" for name in there if name not in architectures.NAMES]
    for name in names:
        found = examine(name, pack=False)
        if there.get(name) != [found.served, found.padding]:
            wrong.append(f"docs/models.md is wrong about {name}: {found.line()}")
    return wrong


def examine(name: str, pack: bool = True) -> Result:
    """Make, serve, ask and, if told to, pack a checkpoint."""
    with tempfile.TemporaryDirectory() as scratch:
        # A model of values answers with its logits as they are.
        directory = architectures.make(name, Path(scratch) / name, problem_type="regression")
        kind, texts, expected = reference(directory)
        served, padding, checked = "yes", "yes", kind
        try:
            handler = Handler(directory, Limits(threads=2))
            padding = "none" if handler.load().equal_lengths else "yes"
            distance = _distance(handler, texts, expected)
            checked = f"{kind}, {distance:.0e}"
            if not distance <= CLOSE:
                served = "wrongly"
        except ModelError as error:
            served, padding = _short(str(error), directory), ""
        packed = _pack(directory, Path(scratch) / "packed") if pack else ""
        return Result(name, served, padding, packed, checked)


def reference(directory: Path) -> tuple[str, list[str], np.ndarray]:
    """The class of a checkpoint's model, texts, and its logits for each alone, (N, L)."""
    import numpy as np
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    # A token of the tokenizer's own in a text must not change what others are answered.
    end = tokenizer.eos_token or tokenizer.sep_token
    texts = [*TEXTS, f"it was {end} good"]
    logits = []
    for text in texts:
        encoded = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
        try:
            with torch.inference_mode():
                logits.append(model(**encoded).logits[0].numpy())
        except (RuntimeError, IndexError, ValueError):  # nothing to compare with
            logits.append(np.full(model.config.num_labels, np.nan))
    return type(model).__name__, texts, np.stack(logits)


def _distance(handler: Handler, texts: Sequence[str], expected: np.ndarray) -> float:
    """The largest distance of a logit, alone or in a batch, as a part of their spread."""
    import numpy as np

    alone = [handler.predict([text])[0] for text in texts]
    together = handler.predict([*texts, ""])[: len(texts)]
    rows = [
        list(found.predicted_values.values())
        for found in (*alone, *together)
        if isinstance(found, Values)
    ]
    distance = np.abs(np.asarray(rows) - np.concatenate([expected, expected])).max()
    return float(distance / np.ptp(expected, axis=0).max())


def _pack(checkpoint: Path, out: Path) -> str:
    """What pack-model says."""
    from compress import pack

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            pack.main([str(checkpoint), str(out)])
    except SystemExit as end:
        if end.code:
            words = end.code if isinstance(end.code, str) else said.getvalue().splitlines()[-1]
            return _short(words, checkpoint)
    return "yes"


def _short(message: str, directory: Path) -> str:
    """A refusal for a cell of the table."""
    words = message.replace(f"{directory} ", "").replace(str(directory), directory.name)
    return f"refused: {words.replace('|', '/')}"
