"""A packed model in, the milliseconds of a token in runs of different sizes out.

python -m benchmarks.batches MODEL_DIR [--threads 1]: where tokens.BUDGET and tokens.PADDING come
from. A line for each length of text, a column for each number of tokens in a run.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

LENGTHS = (8, 16, 32, 64, 128)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


def main() -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Time runs of the engine by their size.")
    parser.add_argument("model", type=Path, help="a packed model")
    parser.add_argument("--threads", type=int, default=1, help="threads, each with a CPU (1)")
    parser.add_argument("--runs", type=int, default=9, help="the least of so many is shown (9)")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    import numpy as np

    from model_handler import Handler, Limits

    handler = Handler(options.model, Limits(options.threads, spinning=True))
    engine = handler.load().engine
    engine.settle()
    print("tokens a run: " + "".join(f"{count:8}" for count in TOKENS))
    for length in LENGTHS:
        line = []
        for count in TOKENS:
            if count < length:
                line.append("        ")
                continue
            ids = np.full((count // length, length), 5, dtype=np.int64)
            mask = np.ones_like(ids)
            times = []
            for _ in range(options.runs):
                start = time.perf_counter()
                engine.logits(ids, mask)
                times.append(time.perf_counter() - start)
            line.append(f"{min(times) * 1e3 / count:8.3f}")
        print(f"{length:4} a text     " + "".join(line))


if __name__ == "__main__":
    main()
