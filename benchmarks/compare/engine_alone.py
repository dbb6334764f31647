"""Time the engine of a packed model alone: one thread, no HTTP, no tokenizer.

python -m benchmarks.compare.engine_alone MODEL_DIR TEXT [--requests 300]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from model_handler import Handler, tokens

# As long as a client and HTTP take between two runs of a server: a CPU that was idle for a moment
# computes slower at first, and that is not the server's doing.
PAUSE = 0.002


def main() -> None:
    """Print the seconds of each run as JSON."""
    parser = argparse.ArgumentParser(description="Time the engine of a packed model.")
    parser.add_argument("model", type=Path)
    parser.add_argument("text")
    parser.add_argument("--requests", type=int, default=300)
    options = parser.parse_args()
    print(json.dumps(seconds(options.model, options.text, options.requests)))


def seconds(folder: Path, text: str, requests: int) -> list[float]:
    """Return how long the engine takes for the token ids of a text, each time it is asked."""
    model = Handler(folder).load()
    model.engine.settle()
    batch = tokens.pad(tokens.encode(model.tokenizer, [text]), model.pad_id)
    found = []
    for _ in range(requests):
        time.sleep(PAUSE)
        start = time.perf_counter()
        model.engine.logits(batch)
        found.append(time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
