"""Score the validation reviews and the sanity sentences with a served model, and print figures."""

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
    """Print what scoring.report says of the reviews, and the accuracy on sentences, as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks quality", description=f"Score {REVIEWS} with a served model."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the reviews")
    parser.add_argument("--model", type=Path, default=artifacts.default_dir())
    options = parser.parse_args(arguments)
    import numpy as np
    from tqdm import tqdm

    reviews = data.read(options.data / REVIEWS)
    sentences = data.sanity()
    handler = Handler(options.model, Limits(resources.threads()))
    found: list[Prediction] = []
    texts = [review.text for review in reviews] + [each.text for each in sentences]
    for start in tqdm(range(0, len(texts), STEP)):
        answers = handler.predict(texts[start : start + STEP])
        found += [one for one in answers if isinstance(one, Prediction)]
    labels = np.array([int(one.predicted_label) for one in found])
    confidence = np.array([one.probability for one in found])
    rated = scoring.Answers(labels[: len(reviews)], confidence[: len(reviews)])
    figures = {
        "validation": scoring.report(rated, [review.label for review in reviews]),
        "sanity": scoring.by_group(labels[len(reviews) :], sentences),
    }
    print(json.dumps(figures, indent=1))
