"""Make the student of a checkpoint: choose what it keeps, cut it, and let it learn."""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import distil, encoders, progress, prune, vocabulary
from compress.examples import Example
from compress.prune import Columns
from model_handler import tokens
from model_handler.engines.torch_engine import TorchEngine
from model_handler.errors import ArtifactError, EngineError
from model_handler.outputs import ProblemType
from model_handler.tokens import Row

if TYPE_CHECKING:
    from torch import Tensor

    from model_handler.engines import Model

# Texts that layers and columns are chosen with, and tokens of each: more changes no choice.
MEASURED = 32
LONGEST_MEASURED = 24
BATCH = 16


@dataclass(frozen=True)
class Size:
    """How many layers and feed-forward columns stay, None for all, and pieces at least.

    `whole_vocabulary`: all pieces stay.
    """

    layers: int | None = None
    ffn: int | None = None
    pieces: int = 0
    whole_vocabulary: bool = False


@dataclass(frozen=True)
class Student:
    """A smaller model, and which layers and pieces of the larger one it has; None for all."""

    model: Any
    layers: list[int] | None
    pieces: list[int] | None

    def renumbered(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows of the larger model's ids with this one's."""
        if self.pieces is None:
            return list(rows)
        places = {old: new for new, old in enumerate(self.pieces)}
        return [
            Row(array("i", [places[each] for each in row.ids]), row.types, row.truncated)
            for row in rows
        ]


def check(base: Model, size: Size) -> None:
    """Raise EngineError unless a model can be cut to this size."""
    model = _engine(base).model
    names = encoders.of(model)
    layers, width = len(encoders.layers(model)), getattr(model.config, names.width)
    for option, wanted, found in (("layers", size.layers, layers), ("ffn", size.ffn, width)):
        if wanted is not None and wanted > found:
            raise EngineError(f"--{option} {wanted} is more than the {found} of the model")


def check_labels(base: Model, teacher: Model) -> list[int]:
    """Return the places of the labels of `base` among those of the teacher.

    Raises ArtifactError if the teacher has other labels.
    """
    if set(map(str, base.labels)) != set(map(str, teacher.labels)):
        raise ArtifactError(
            f"the teacher's labels are {list(teacher.labels)}, the checkpoint's are "
            f"{list(base.labels)}: name a teacher with the same"
        )
    names = list(map(str, teacher.labels))
    return [names.index(str(label)) for label in base.labels]


def make(
    base: Model, tokenizer: Any, examples: Sequence[Example], size: Size, seed: int
) -> Student:
    """Cut a student out of a model that torch_engine opened.

    `tokenizer` is the model's as transformers reads it. Shows how far the choice of layers is.
    """
    model, inputs = _engine(base).model, _engine(base).inputs
    texts = [example.text for example in examples]
    sample = random.Random(seed).sample(texts, min(MEASURED, len(texts)))
    rows = sorted(tokens.encode(base.tokenizer, sample), key=len)
    short = [Row(row.ids[:LONGEST_MEASURED], _cut(row.types)) for row in rows]
    run = partial(distil.logits, inputs=inputs, batches=distil.batches(short, BATCH, base.pad_id))
    layers: list[int] | None = None
    columns: list[Columns] | None = None
    pieces: list[int] | None = None
    found = len(encoders.layers(model))
    if size.layers is not None and size.layers < found:
        with progress.bar(prune.trials(found, size.layers), " trials") as count:
            layers = prune.choose_layers(model, run, size.layers, count)
    if size.ffn is not None:
        columns = prune.choose_columns(model, run, size.ffn)
    if not size.whole_vocabulary:
        fields = json.loads(tokenizer.backend_tokenizer.to_str())
        used = vocabulary.used(tokenizer.backend_tokenizer, texts)
        pieces = vocabulary.kept(fields, used, base.pad_id, size.pieces)
    return Student(prune.cut(model, layers, columns, pieces), layers, pieces)


def _engine(model: Model) -> TorchEngine:
    if not isinstance(model.engine, TorchEngine):
        raise TypeError(f"{model.name} has no model of transformers")
    return model.engine


def _cut(types: array[int] | None) -> array[int] | None:
    return types and types[:LONGEST_MEASURED]


def teach(
    student: Student,
    base: Model,
    teacher: Model,
    examples: Sequence[Example],
    settings: distil.Settings,
    count: Callable[[int], object],
) -> None:
    """Let a student of `base` learn the teacher's answers to the examples.

    Where `base` is the teacher, so that both have tokens and hidden states of a kind, it learns the
    hidden states as well.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts = [example.text for example in examples]
    rows = tokens.encode(base.tokenizer, texts)
    lessons = _Lessons(
        teacher=teacher,
        model=distil.faster(_engine(teacher).model, device),
        rows=rows if teacher is base else tokens.encode(teacher.tokenizer, texts),
        order=check_labels(base, teacher),
        hidden=_hidden(student, base) if teacher is base else [],
        examples=examples if settings.label_weight else [],
    )
    distil.distil(
        student.model.to(device),
        _engine(base).inputs,
        student.renumbered(rows),
        base.pad_id if student.pieces is None else student.pieces.index(base.pad_id),
        lessons,
        settings,
        count,
    )
    student.model.to("cpu")


def _hidden(student: Student, base: Model) -> list[int]:
    """Return which hidden states of `base` the layers of the student should give.

    Each gives what the next one had before it: so the layers that are gone are bridged. The first
    hidden states of a model are those of the embeddings.
    """
    found = len(encoders.layers(_engine(base).model))
    layers = list(range(found)) if student.layers is None else student.layers
    return [*layers[1:], found]


@dataclass(frozen=True)
class _Lessons:
    """Asks the model of a teacher, whose token ids of the texts are `rows`; see distil.Teach."""

    teacher: Model
    model: Any
    rows: Sequence[Row]
    order: Sequence[int]
    hidden: Sequence[int]
    examples: Sequence[Example]

    def __call__(self, places: Sequence[int]) -> distil.Lesson:
        import torch

        inputs = _engine(self.teacher).inputs
        batch = distil.training_batch(self.rows, places, self.teacher.pad_id)
        with torch.no_grad():
            output = distil.forward(self.model, inputs, batch, bool(self.hidden))
        return distil.Lesson(
            output.logits.float()[:, self.order],
            [output.hidden_states[place] for place in self.hidden],
            self._expected(places).to(self.model.device) if self.examples else None,
        )

    def _expected(self, places: Sequence[int]) -> Tensor:
        """Return the right answers as probabilities or values, (B, L)."""
        import torch

        right = [self.examples[place].expected or () for place in places]
        if self.teacher.problem_type is ProblemType.VALUES:
            return torch.tensor(right)
        found = torch.zeros(len(places), len(self.order))
        for row, labels in enumerate(right):
            found[row, list(map(int, labels))] = 1.0
        return found


def save(student: Student, tokenizer: Any, out: Path) -> None:
    """Write a checkpoint that transformers opens: config.json, weights, tokenizer."""
    student.model.save_pretrained(out)
    fields = json.loads(tokenizer.backend_tokenizer.to_str())
    if student.pieces is None:
        tokenizer.save_pretrained(out)
    else:
        vocabulary.write(tokenizer, vocabulary.smaller(fields, student.pieces), out)
