"""Score the validation reviews with a served model, and print the figures of each class."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.texts import REVIEWS
from model_handler import Handler, Limits, Prediction, artifacts, resources
from training import data, scoring

STEP = 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Print macro F1, accuracy, and precision and recall of each class as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks quality", description=f"Score {REVIEWS} with a served model."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the reviews")
    parser.add_argument("--model", type=Path, default=artifacts.default_dir())
    options = parser.parse_args(arguments)
    from tqdm import tqdm

    reviews = data.read(options.data / REVIEWS)
    handler = Handler(options.model, Limits(resources.threads()))
    predicted = []
    for start in tqdm(range(0, len(reviews), STEP)):
        texts = [review.text for review in reviews[start : start + STEP]]
        found = handler.predict(texts)
        predicted += [int(one.predicted_label) for one in found if isinstance(one, Prediction)]
    print(json.dumps(scoring.report([review.label for review in reviews], predicted), indent=1))
