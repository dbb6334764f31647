"""Train the teachers: models of several kinds, whose answers are averaged."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compress.distil import Settings
from model_handler import outputs
from training import classifier, data, encoders
from training.data import Review

if TYPE_CHECKING:
    import numpy as np

MAJORITY = 2000  # reviews of class 1 that each learns from
CROPS = 0.25  # share of texts cut to a sentence or two

# Gives the logits of texts, float32 (N, L).
Answer = Callable[[Sequence[str]], "np.ndarray"]
# Trains on reviews, with the folders of the encoders by their names and a seed.
Train = Callable[[Sequence[Review], Mapping[str, Path], int], Answer]


@dataclass(frozen=True)
class FineTuned:
    """An encoder that is fine-tuned; its embeddings and lowest layers stay as they are."""

    encoder: str
    frozen_layers: int
    settings: Settings

    def train(self, reviews: Sequence[Review], folders: Mapping[str, Path], seed: int) -> Answer:
        """Fine-tune the encoder on reviews, with soft targets by their stars."""
        import numpy as np
        import torch

        torch.manual_seed(seed)  # for the new head
        found = classifier.open_checkpoint(folders[self.encoder])
        base = found.model.base_model
        base.embeddings.requires_grad_(False)
        for layer in base.encoder.layer[: self.frozen_layers]:
            layer.requires_grad_(False)
        targets = np.array([data.TARGETS[review.rating] for review in reviews], dtype=np.float32)
        texts = [review.text for review in reviews]
        found.learn(texts, np.log(targets.clip(1e-6)), replace(self.settings, seed=seed))
        return found.logits


def train_words(reviews: Sequence[Review], _: Mapping[str, Path], _seed: int) -> Answer:
    """Fit a logistic regression of TF-IDF, of words and of pairs of them, to the labels."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    weights = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    found = make_pipeline(weights, LogisticRegression(max_iter=1000))
    found.fit([review.text for review in reviews], [review.label for review in reviews])
    return lambda texts: np.asarray(found.predict_log_proba(list(texts)), dtype=np.float32)


# The lower layers know English, and cost half of the time.
SETTINGS = Settings(epochs=2, batch_size=32, temperature=1.0, warm_up=0.1)
MINILM = FineTuned(encoders.MINILM, 2, replace(SETTINGS, learning_rate=1e-4))
MPNET = FineTuned(encoders.MPNET, 7, replace(SETTINGS, learning_rate=5e-5))


class Teacher(NamedTuple):
    """How a teacher is trained, and its weight in the average of all."""

    train: Train
    weight: float


# By the macro F1 of the average on all folds, these are as good as any near them.
TEACHERS = {
    "tf-idf": Teacher(train_words, 0.1),
    "minilm-1": Teacher(MINILM.train, 0.1),
    "minilm-2": Teacher(MINILM.train, 0.1),
    "minilm-3": Teacher(MINILM.train, 0.1),
    "mpnet": Teacher(MPNET.train, 0.6),
}


def draw(reviews: Sequence[Review], fold: int, seed: int) -> list[Review]:
    """Draw what a teacher learns from, of the reviews outside of a fold."""
    others = [review for review in reviews if data.fold(review) != fold]
    return data.draw(others, MAJORITY, CROPS, random.Random(seed))


def average(told: Mapping[str, np.ndarray]) -> np.ndarray:
    """Average the log-probabilities of the teachers, given their logits (N, L) by their names."""
    import numpy as np

    found: np.ndarray = sum(
        TEACHERS[name].weight * np.log(outputs.softmax(logits).clip(1e-3))
        for name, logits in told.items()
    )
    return found
