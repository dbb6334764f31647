"""A packed model in, the milliseconds of a token in runs of different sizes out; and the padding.

python -m benchmarks batches MODEL_DIR [--threads 1] [--data DIR]: where tokens.BUDGET and
tokens.PADDING come from. A line for each length of text, a column for each number of tokens in a
run; then, with reviews in DIR, how many tokens of padding go with a real one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model_handler import Handler, Limits, tokens
from model_handler.batching import Batcher
from model_handler.engines import Engine, Model
from model_handler.tokens import Batch

if TYPE_CHECKING:
    import numpy as np

LENGTHS = (8, 16, 32, 64, 128)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
REQUEST = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Time runs of the engine by their size.")
    parser.add_argument("model", type=Path, help="a packed model")
    parser.add_argument("--threads", type=int, default=1, help="threads, each with a CPU (1)")
    parser.add_argument("--runs", type=int, default=9, help="the least of so many is shown (9)")
    parser.add_argument("--data", type=Path, help="folder with validation.jsonl.gz")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    model = Handler(options.model, Limits(options.threads)).load()
    model.engine.settle()
    print("tokens a run: " + "".join(f"{count:8}" for count in TOKENS))
    for length in LENGTHS:
        cells = [
            f"{milliseconds(model.engine, count // length, length, options.runs) / count:8.3f}"
            if count >= length
            else " " * 8
            for count in TOKENS
        ]
        print(f"{length:4} a text     " + "".join(cells))
    if options.data:
        from training import data

        texts = [review.text for review in data.read(options.data / "validation.jsonl.gz")]
        requests = [texts[start : start + REQUEST] for start in range(0, len(texts), REQUEST)]
        print(f"padding, requests of {REQUEST} reviews: {padding(model, requests, options):.1%}")
        print(f"padding, one of {len(texts):,}: {padding(model, [texts], options):.1%}")


def milliseconds(engine: Engine, texts: int, length: int, runs: int) -> float:
    """The fastest of some runs of so many texts of one length."""
    import numpy as np

    ids = np.full((texts, length), 5, dtype=np.int64)
    batch = Batch(ids, np.ones_like(ids), np.zeros_like(ids))
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        engine.logits(batch)
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


class Counter:
    """An engine that counts tokens instead of computing with them."""

    def __init__(self) -> None:
        self.padded = self.real = 0

    def logits(self, batch: Batch) -> np.ndarray:
        """Nothing but zeros, float32 (B, 1)."""
        self.padded += batch.ids.size
        self.real += int(batch.mask.sum())
        return (batch.mask[:, :1] * 0).astype("float32")

    def settle(self) -> None:
        """Nothing to finish."""


def padding(model: Model, requests: list[list[str]], options: argparse.Namespace) -> float:
    """Padded tokens for each real one, less one, over requests that come one after the other."""
    counter = Counter()
    batcher = Batcher(counter, model.pad_id, tokens.BUDGET * options.threads)
    for texts in requests:
        batcher.logits(tokens.encode(model.tokenizer, texts))
    return counter.padded / counter.real - 1
