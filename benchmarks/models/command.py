"""Check how every architecture is served and packed: docs/models.md."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import pages
from benchmarks.harness.results import Benchmark, Results, read
from benchmarks.harness.servers import ROOT
from benchmarks.models import architectures
from model_handler import Handler, Limits, ModelError, Values

if TYPE_CHECKING:
    import numpy as np

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
COLUMNS = ("served", "padding", "packed", "checked with")
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

"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--check",
        nargs="+",
        metavar="NAME",
        choices=architectures.NAMES,
        help="only compare what is found for these with the page; exit code 1 if it differs",
    )


def measure(options: argparse.Namespace, found: Results) -> None:
    """Examine every architecture, or only compare some with the page."""
    if options.check:
        sys.exit("\n".join(differences(options.check)) or 0)
    import transformers

    found.facts["transformers"] = transformers.__version__
    for name in architectures.NAMES:
        found.say(name, examine(name))
        print(name, *found.words["served"][name], sep=": ", flush=True)


def page(results: Results) -> str:
    """Write the page."""
    lines = (
        [f"`{name}`", *(results.words[column][name] for column in COLUMNS)]
        for name in results.words["served"]
    )
    return HEAD.format_map(results.facts) + pages.table(("architecture", *COLUMNS), lines) + "\n"


def differences(names: Sequence[str]) -> list[str]:
    """List what the page lacks, or has otherwise than it is now, but for what is packed."""
    there = read(BENCHMARK.json)
    served = there.words["served"]
    wrong = [f"docs/models.md lacks {name}" for name in architectures.NAMES if name not in served]
    wrong += [f"docs/models.md has {name}" for name in served if name not in architectures.NAMES]
    if BENCHMARK.page.read_text(encoding="utf-8") != page(there):
        wrong.append(f"docs/models.md is not what --redraw writes from {BENCHMARK.json.name}")
    for name in names:
        found = examine(name, pack=False)
        if any(there.words[what].get(name) != found[what] for what in ("served", "padding")):
            wrong.append(f"docs/models.md is wrong about {name}: {' | '.join(found.values())}")
    return wrong


def examine(name: str, pack: bool = True) -> Mapping[str, str]:
    """Make, serve, ask and, if told to, pack a checkpoint; return the words of each column."""
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
        return dict(zip(COLUMNS, (served, padding, packed, checked), strict=True))


def reference(directory: Path) -> tuple[str, list[str], np.ndarray]:
    """Return the class of a checkpoint's model, texts, and its logits for each alone, (N, L)."""
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
    """Return the largest distance of a logit, alone or in a batch, as a part of their spread."""
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
    """Return what pack-model says."""
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
    """Return a refusal for a cell of the table."""
    words = message.replace(f"{directory} ", "").replace(str(directory), directory.name)
    return f"refused: {words.replace('|', '/')}"


BENCHMARK = Benchmark(
    "models",
    "Check how every architecture is served and packed.",
    ROOT / "docs" / "models.md",
    add_options,
    measure,
    page,
    folder=Path(__file__).parent,
)
main = BENCHMARK.run
