"""Three model directories in, the figures of the README out: cold start, warm p50 and peak RSS.

python -m benchmarks.figures [--runs 5] [--cpu 0]
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import checkpoint, report
from benchmarks.server import serving
from model_handler import Prediction

HERE = Path(__file__).resolve().parent
DEFAULT_MODEL = HERE.parent / "models" / "clothing-sentiment"
CACHE = HERE.parent / "build" / "benchmarks"
FIRST = "I love this product!"
# Cut off where it has TOKENS tokens, whatever the vocabulary.
WORDS = "it is good and it is not so big as the one that was here for all of us to see"
TOKENS = 16
REQUESTS = 200


@dataclass
class Subject:
    """A model directory under test: what it must answer first, and what was measured of it."""

    folder: Path
    expected: Prediction
    record: bytes
    figures: report.Figures = field(default_factory=report.Figures)

    def measure(self, cpu: int) -> None:
        """One start, REQUESTS warm requests, one look at the memory."""
        with serving(self.folder, cpu) as server:
            first = server.wait(_body(FIRST))
            near = abs(first["probability"] - self.expected.probability) < 0.1
            if first["predicted_label"] != self.expected.predicted_label or not near:
                raise SystemExit(f"{self.folder} answers {first}, not {self.expected}")
            times = []
            for _ in range(REQUESTS):
                start = time.perf_counter()
                server.predict(self.record)
                times.append(time.perf_counter() - start)
            memory = server.memory()
        self.figures.cold.append(server.cold_start * 1e3)
        self.figures.warm.append(statistics.median(times) * 1e3)
        self.figures.rss.append(memory.peak_rss)
        self.figures.pss.append(memory.pss)


def main() -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Measure starts, requests and memory of `serve`.")
    parser.add_argument("--runs", type=int, default=5, help="starts of each server (default 5)")
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of the server (default 0)")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the default model")
    parser.add_argument("--checkpoint", type=Path, default=CACHE / "roberta-base-shaped")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    from tqdm import tqdm

    subjects = prepare(options.model, options.checkpoint)
    # Interleaved, so that a slow minute of the machine meets all of them.
    for subject in tqdm([*subjects.values()] * options.runs, unit="start"):
        subject.measure(options.cpu)
    figures = {name: subject.figures for name, subject in subjects.items()}
    command = shlex.join(["python", "-m", "benchmarks.figures", *sys.argv[1:]])
    text = report.page(figures, command, TOKENS, REQUESTS)
    options.out.write_text(text, encoding="utf-8")
    print(text)


def prepare(model: Path, shaped: Path) -> dict[str, Subject]:
    """The servers to compare; the checkpoint and its packed form are made if they are not there."""
    from compress import pack

    if not (model / "manifest.json").exists():
        raise SystemExit(f"{model} holds no packed model; name one with --model")
    packed = shaped.with_name(f"{shaped.name}-packed")
    if not shaped.exists():
        checkpoint.make(shaped)
    if not packed.exists():
        pack.pack(shaped, packed, print)
    return {
        "default model": _subject(model, model),
        "roberta-base shape, packed": _subject(packed, shaped),
        "roberta-base shape, unpacked": _subject(shaped, shaped),
    }


def _subject(folder: Path, truth: Path) -> Subject:
    """A subject that must answer as the model in `truth` does."""
    from model_handler import Handler

    handler = Handler(truth, 1)
    tokenizer = handler.load().tokenizer
    words = WORDS.split()
    texts = [" ".join(words[:count]) for count in range(len(words))]
    fitting = [text for text in texts if len(tokenizer.encode(text).ids) == TOKENS]
    if not fitting:
        raise SystemExit(f"no beginning of {WORDS!r} has {TOKENS} tokens in {truth}")
    return Subject(folder, handler.predict([FIRST])[0], _body(fitting[0]))


def _body(text: str) -> bytes:
    return json.dumps({"features": [text]}).encode() + b"\n"


if __name__ == "__main__":
    main()
