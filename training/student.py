"""Cut the student out of MiniLM-L6, teach it, and set how sure it is."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import distil, prune, vocabulary
from compress.distil import Settings
from model_handler import outputs
from training import classifier, data
from training.classifier import Classifier
from training.data import Review

if TYPE_CHECKING:
    import numpy as np

    from training.scoring import Calibration

LAYERS = 4  # the lowest of 6: the upper ones know most of what is not needed here
WIDTH = 1152  # feed-forward columns of 1,536
PIECES = 15_000  # of 30,522
MEASURED = 256  # texts that columns are chosen with
MAJORITY = 2000  # reviews of class 1 that it learns from
STARS = 0.5  # weight of the stars of a whole review, beside what the teachers say of it
STUDENTS = 3  # taught in different orders; the model has the mean of their weights
SETTINGS = Settings(epochs=4, batch_size=32, learning_rate=3e-4, temperature=2.0, warm_up=0.1)


@dataclass(frozen=True)
class Lesson:
    """A text that the student learns from: a review, or a sentence or two of it."""

    text: str
    review: Review

    @property
    def whole(self) -> bool:
        """Whether it is the whole review, so that the stars are right for it."""
        return self.text == self.review.text


def lessons(reviews: Sequence[Review], seed: int) -> list[Lesson]:
    """Choose what to learn from: a balanced draw of reviews, each whole and cut."""
    rng = random.Random(seed)
    drawn = data.draw(reviews, MAJORITY, 0.0, rng)
    crops = [Lesson(data.crop(review.text, rng), review) for review in drawn]
    whole = [Lesson(review.text, review) for review in drawn]
    return list({lesson.text: lesson for lesson in crops + whole}.values())


def targets(lessons: Sequence[Lesson], logits: np.ndarray) -> np.ndarray:
    """Mix what the teachers say of each text with what its stars say; logits (N, L) both ways."""
    import numpy as np

    found = outputs.softmax(logits)
    for place, lesson in enumerate(lessons):
        if lesson.whole:
            stars = np.array(data.TARGETS[lesson.review.rating])
            found[place] += STARS * (stars - found[place])
    mixed: np.ndarray = np.log(found.clip(1e-3)).astype(np.float32)
    return mixed


def cut(encoder: Path, texts: Sequence[str], out: Path, seed: int) -> Classifier:
    """Write a smaller model of an encoder to `out`, fit for texts like these, and open it.

    It keeps the pieces of the vocabulary that the texts use, and besides them the most frequent of
    English, PIECES in all.
    """
    import torch

    torch.manual_seed(seed)  # for the new head
    whole = classifier.open_checkpoint(encoder)
    pad_id = whole.tokenizer.pad_token_id
    fields = json.loads(whole.tokenizer.backend_tokenizer.to_str())
    used = vocabulary.used(whole.tokenizer.backend_tokenizer, texts)
    pieces = vocabulary.kept(fields, used, pad_id, PIECES)
    sample = whole.rows(random.Random(seed).sample(texts, min(MEASURED, len(texts))))
    batches = distil.batches(
        sorted(sample, key=len), classifier.BATCH, whole.tokenizer.pad_token_id
    )
    width = min(WIDTH, whole.model.config.intermediate_size)
    columns = prune.choose_columns(
        whole.model, lambda model: distil.logits(model, whole.inputs, batches), width
    )
    layers = range(min(LAYERS, whole.model.config.num_hidden_layers))
    model = _shorter(prune.cut(whole.model, layers, columns, pieces), classifier.MAX_LENGTH)
    model.save_pretrained(out)
    vocabulary.write(whole.tokenizer, vocabulary.smaller(fields, pieces), out)
    return classifier.open_checkpoint(out)


def _shorter(model: Any, length: int) -> Any:
    """Return a BERT model that has places for `length` tokens only."""
    weights = model.state_dict()
    name = "bert.embeddings.position_embeddings.weight"
    weights[name] = weights[name][:length]
    model.config.max_position_embeddings = length
    small = type(model)(model.config)
    small.load_state_dict(weights)
    return small.eval()


def teach(student: Classifier, texts: Sequence[str], logits: np.ndarray, seed: int) -> None:
    """Train a student to answer texts with the teachers' logits, float32 (N, L)."""
    student.model.base_model.embeddings.requires_grad_(False)
    student.learn(texts, logits, replace(SETTINGS, seed=seed))


def mean(students: Sequence[Classifier]) -> Classifier:
    """Return a student that has the mean of the weights of students that began alike.

    Weight averaging: https://proceedings.mlr.press/v162/wortsman22a.html.
    """
    import torch

    first, *_ = students
    weights = [each.model.state_dict() for each in students]
    first.model.load_state_dict(
        {name: torch.stack([each[name] for each in weights]).mean(dim=0) for name in weights[0]}
    )
    return first


def fold(student: Classifier, calibration: Calibration) -> None:
    """Build temperature and biases into the last matrix."""
    import torch

    last = student.model.classifier
    with torch.no_grad():
        last.weight /= calibration.temperature
        last.bias += torch.tensor(calibration.biases)
        last.bias /= calibration.temperature
