"""Hold a transformers classifier with its tokenizer: open, train, score and save it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import distil, progress
from model_handler import tokens
from model_handler.tokens import Row
from training.data import LABELS

if TYPE_CHECKING:
    import numpy as np

MAX_LENGTH = 128
BATCH = 64  # texts that are scored at once


@dataclass(frozen=True)
class Classifier:
    """A sequence classifier for LABELS, and its tokenizer."""

    model: Any
    tokenizer: Any

    @property
    def inputs(self) -> list[str]:
        """Return the names of what the model's forward takes of a batch."""
        import inspect

        known = inspect.signature(self.model.forward).parameters
        return [name for name in self.tokenizer.model_input_names if name in known]

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Encode texts, each cut to MAX_LENGTH tokens."""
        from tokenizers import Tokenizer

        own = Tokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        return tokens.encode(tokens.prepare(own, MAX_LENGTH), texts)

    def learn(self, texts: Sequence[str], logits: np.ndarray, settings: distil.Settings) -> None:
        """Train the weights that are not frozen to give these logits, float32 (N, L)."""
        import torch

        wanted = torch.from_numpy(logits)
        with progress.bar(settings.epochs * len(texts), " texts") as count:
            distil.distil(
                self.model,
                self.inputs,
                self.rows(texts),
                self.tokenizer.pad_token_id,
                lambda places: distil.Lesson(wanted[list(places)]),
                settings,
                count,
            )

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Compute the logits of texts in their order, float32 (N, L)."""
        import numpy as np

        rows = self.rows(texts)
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        found = np.zeros((len(rows), len(LABELS)), dtype=np.float32)
        with progress.bar(len(texts), " texts") as count:
            for start in range(0, len(order), BATCH):
                places = order[start : start + BATCH]
                batch = tokens.pad([rows[each] for each in places], self.tokenizer.pad_token_id)
                found[places] = distil.logits(self.model, self.inputs, [batch]).numpy()
                count(len(places))
        return found

    def save(self, out: Path) -> None:
        """Write a checkpoint as transformers does."""
        self.model.save_pretrained(out)
        self.tokenizer.save_pretrained(out)


def open_checkpoint(directory: Path) -> Classifier:
    """Open a checkpoint; an encoder without a head for LABELS gets a new one, without dropout."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    names = dict(enumerate(map(str, LABELS)))
    model = AutoModelForSequenceClassification.from_pretrained(
        directory,
        local_files_only=True,
        id2label=names,
        label2id={name: index for index, name in names.items()},
        # Crops of texts regularise; without dropout a step on a CPU takes half the time.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(
        directory, local_files_only=True, model_max_length=MAX_LENGTH
    )
    return Classifier(model, tokenizer)
