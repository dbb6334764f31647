"""A packed model directory in, the milliseconds of each stage of a cold start out.

python -m benchmarks.coldstart MODEL_DIR [--runs 5]: stages run one after the other in a fresh
interpreter, in the order of `serve`, without its sockets and its fork.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# In the order in which `serve` comes to need them; each is counted without those before it.
IMPORTS = (
    "gunicorn.app.base",
    "flask",
    "jsonlines",
    "serve.app",
    "gunicorn.arbiter",
    "gunicorn.workers.gthread",
    "numpy",
    "tokenizers",
    "onnxruntime",
)


def main() -> None:
    """The command line: see --help. With --once, the stages of this very process as JSON."""
    parser = argparse.ArgumentParser(description="Time the stages of a cold start.")
    parser.add_argument("model", type=Path, help="a packed model")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        print(json.dumps(stages(options.model)))
        return
    import statistics

    runs = [_fresh(options.model) for _ in range(options.runs)]
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    for name, value in medians.items():
        print(f"{name:32} {value:7.1f} ms")
    print(f"{'sum':32} {sum(medians.values()):7.1f} ms")


def _fresh(model: Path) -> dict[str, float]:
    """Stages of a new interpreter, the interpreter's own start among them."""
    # Not above: what is imported there is missing from the times of the stages.
    import subprocess

    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    interpreter = (time.perf_counter() - start) * 1e3
    command = [sys.executable, "-m", "benchmarks.coldstart", str(model), "--once"]
    answer = subprocess.run(command, check=True, capture_output=True)
    found: dict[str, float] = json.loads(answer.stdout)
    return {"interpreter": interpreter} | found


def stages(directory: Path) -> dict[str, float]:
    """Milliseconds of each stage, by name; everything must still be unused in this process."""
    found: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        found[name] = (time.perf_counter() - start) * 1e3

    for module in IMPORTS:
        with stage(f"import {module}"):
            importlib.import_module(module)
    from tokenizers import Tokenizer

    from model_handler import manifest as manifests
    from model_handler import tokens
    from model_handler.engines import onnx_engine

    with stage("manifest.read"):
        manifest = manifests.read(directory)
    with stage("manifest.verify (sha256)"):
        manifests.verify(directory, manifest)
    with stage("onnxruntime session"):
        engine = onnx_engine.OnnxEngine(directory / manifest.graph, 1)
    with stage("tokenizer.json"):
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer = tokens.prepare(tokenizer, manifest.max_length)
    text = manifest.probe_texts[:1]
    for name in ("first run", "second run"):
        with stage(name):
            batch = next(tokens.batches(tokenizer, manifest.pad_id, text))
            engine.logits(batch.ids, batch.mask)
    return found


if __name__ == "__main__":
    main()
