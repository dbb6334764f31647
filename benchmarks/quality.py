"""Validation reviews and a model in, macro F1 and the figures of each class out.

python -m benchmarks quality --data DIR
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from model_handler import Handler, Limits, Prediction, artifacts, cpu
from training import data, metrics

STEP = 100


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Score validation.jsonl.gz with a served model.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the reviews")
    parser.add_argument("--model", type=Path, default=artifacts.default_dir())
    options = parser.parse_args(arguments)
    reviews = data.read(options.data / "validation.jsonl.gz")
    handler = Handler(options.model, Limits(cpu.threads()))
    predicted = []
    for start in tqdm(range(0, len(reviews), STEP)):
        texts = [review.text for review in reviews[start : start + STEP]]
        found = handler.predict(texts)
        predicted += [int(one.predicted_label) for one in found if isinstance(one, Prediction)]
    print(json.dumps(metrics.report([review.label for review in reviews], predicted), indent=1))
