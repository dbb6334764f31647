"""Time runs of the engine by their size, and count the padding: BATCHES.md.

The budget of tokens in a run, and how near in length the texts of a run must be, come from here.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import machine, pages, subjects
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.texts import REVIEWS
from model_handler import Handler, Limits, tokens
from model_handler.batching import BUDGET, Batcher
from model_handler.engines import Engine, Model
from model_handler.tokens import Batch

if TYPE_CHECKING:
    import numpy as np

LENGTHS = (8, 16, 32, 64, 128)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
REQUEST = 64


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", type=Path, nargs="?", help="default: RoBERTa-base's shape, packed")
    parser.add_argument("--threads", type=int, default=1, help="threads, each with a CPU (1)")
    parser.add_argument("--runs", type=int, default=9, help="the least of so many is shown (9)")
    parser.add_argument("--data", type=Path, help=f"folder with {REVIEWS}, to count the padding")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Time runs of texts of each length, as many as have so many tokens together."""
    folder = options.model or subjects.packed(subjects.CHECKPOINT)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    model = Handler(folder, Limits(options.threads)).load()
    model.engine.settle()
    found.facts["model"] = f"{folder.name}, {options.threads} threads"
    found.facts["counts"] = f"the fastest of {options.runs} runs"
    others = machine.OtherWork()
    sizes = [(length, count) for length in LENGTHS for count in TOKENS if count >= length]
    # All sizes by turns, so that a slow minute of the machine meets all.
    for length, count in sizes * options.runs:
        took = milliseconds(model.engine, count // length, length)
        found.add(f"{length} a text", {f"{count} tokens": took / count})
    found.facts["other work"] = others.words()
    if options.data:
        from training import data

        reviews = [review.text for review in data.read(options.data / REVIEWS)]
        requests = [reviews[start : start + REQUEST] for start in range(0, len(reviews), REQUEST)]
        for who, asked in ((REQUEST, requests), (len(reviews), [reviews])):
            part = padding(model, asked, options.threads)
            found.add(f"{who:,} reviews", {"padding": part})


def milliseconds(engine: Engine, texts: int, length: int) -> float:
    """Time a run of so many texts of one length."""
    import numpy as np

    ids = np.full((texts, length), 5, dtype=np.int64)
    batch = Batch(ids, np.ones_like(ids), np.zeros_like(ids))
    start = time.perf_counter()
    engine.logits(batch)
    return (time.perf_counter() - start) * 1e3


class Counter:
    """An engine that counts tokens instead of computing with them."""

    def __init__(self) -> None:
        self.padded = self.real = 0

    def logits(self, batch: Batch) -> np.ndarray:
        """Return nothing but zeros, float32 (B, 1)."""
        self.padded += batch.ids.size
        self.real += int(batch.mask.sum())
        return (batch.mask[:, :1] * 0).astype("float32")

    def prove(self) -> None:
        """Compare nothing."""

    def settle(self) -> None:
        """Finish nothing."""


def padding(model: Model, requests: Sequence[Sequence[str]], threads: int) -> float:
    """Return padded tokens for each real one, less one, over requests one after the other."""
    counter = Counter()
    batcher = Batcher(counter, model.pad_id, BUDGET * threads)
    for texts in requests:
        batcher.logits(tokens.encode(model.tokenizer, list(texts)))
    return counter.padded / counter.real - 1


def page(results: Results) -> str:
    """Write the page."""
    return f"""# Runs of the engine

{pages.commands(results)}

Measured locally. Milliseconds of a token in the fastest run, by the length of the texts and the
tokens in a run; padding as a part of the real tokens.

{pages.sections(results, _section)}

{pages.facts(results)}
"""


def _section(results: Results) -> str:
    lines = []
    for length in LENGTHS:
        times = [results.of(f"{count} tokens", f"{length} a text") for count in TOKENS]
        lines.append([length, *(f"{min(each):.3f}" if each else "" for each in times)])
    padded = results.values.get("padding", {})
    listed = "\n".join(f"- requests of {who}: {part:.1%}" for who, (part,) in padded.items())
    listed = listed or "- not measured: it takes reviews, from --data"
    heads = ["tokens a text", *(f"{count:,} a run" for count in TOKENS)]
    return f"{pages.table(heads, lines)}\n\nPadding:\n\n{listed}"


BENCHMARK = Benchmark(
    "batches",
    "Time runs of the engine by their size.",
    Path(__file__).with_name("BATCHES.md"),
    add_options,
    measure,
    page,
    by_kind=True,
)
main = BENCHMARK.run
