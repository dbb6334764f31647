"""Compare a packed model with its checkpoint on the owner's own texts, and hold it to a budget."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import examples, figures, packed_files, progress
from compress.examples import Example, ExamplesError, Task
from compress.figures import Answers, Places
from compress.report import Change, Plan, Report
from model_handler import Limits, artifacts, outputs, resources, tokens
from model_handler import manifest as manifests
from model_handler.batching import Batcher
from model_handler.engines import Options
from model_handler.outputs import ProblemType
from model_handler.tokens import Pairs

if TYPE_CHECKING:
    import numpy as np

    from model_handler.engines import Model

# Texts at a time: as many are in memory, and a bar moves as often.
CHUNK = 128
# Changed answers that are kept, to be shown.
SHOWN = 10


def validate(checkpoint: Path, made: Path, plan: Plan, rows: int) -> Report:
    """Compare, print the report, hold it to the budget, and enter it in the manifest and the card.

    Raises BudgetError if a budget is missed.
    """
    from model_handler.engines import torch_engine

    limits = Limits(resources.threads())
    packed = artifacts.open_model(made, limits)
    packed.engine.settle()  # what is left to do is to change to the layout of this CPU
    manifest = manifests.read(made)
    task = Task(manifest.problem_type, manifest.labels, manifest.pairs)
    options = Options(manifest.max_length, manifest.pairs)
    original = torch_engine.open_model(checkpoint, limits, options)
    with progress.bar(rows, " texts") as count:
        report = compare(original, packed, plan, task, count)
    with suppress(OSError):  # nobody may be there to read it
        print(report, flush=True)
    report.check(plan)
    manifest._replace(validation=report.figures()).write(made)
    packed_files.add_to_card(made, "Validated", str(report).partition("\n\n")[0])
    return report


def task_of(checkpoint: Path, pairs: bool = False) -> Task:
    """Read what a checkpoint answers from its config.json; raises ArtifactError if it is none.

    `pairs`: records have pairs of texts as their features.
    """
    from transformers import AutoConfig

    from model_handler.engines import torch_engine

    artifacts.check_checkpoint(checkpoint, sorted(checkpoint.iterdir()))
    config = AutoConfig.from_pretrained(checkpoint, local_files_only=True)
    labels, problem_type = torch_engine.task_of(checkpoint, config)
    return Task(problem_type, labels, Pairs.FEATURES if pairs else Pairs.TEXT_PAIR)


def compare(
    checkpoint: Model, packed: Model, plan: Plan, task: Task, count: Callable[[int], object]
) -> Report:
    """Score all texts of the plan's file with both models, and compare the answers.

    `count` is called with how many more texts are done. Raises ExamplesError if a line is wrong.
    """
    gathered = _Values() if task.problem_type is ProblemType.VALUES else _Classes(task)
    score_before, score_after = _scorer(checkpoint, task), _scorer(packed, task)
    rows = 0
    for chunk in _chunks(examples.read(plan.file, task, plan.labelled)):
        texts = [each.text for each in chunk]
        gathered.add(chunk, score_before(texts), score_after(texts))
        rows += len(chunk)
        count(len(chunk))
    about = {"file": plan.file.name, "sha256": manifests.sha256(plan.file), "rows": rows}
    found = about | gathered.found(task, plan)
    return Report(found, tuple(sorted(gathered.changes, reverse=True)))


def _chunks(found: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(found, CHUNK)):
        yield chunk


def _scorer(model: Model, task: Task) -> Callable[[Sequence[tokens.Text]], np.ndarray]:
    """Score N texts with a model as the server does: probabilities, or values, float64 (N, L)."""
    batcher = Batcher.for_model(model, resources.threads())

    def score(texts: Sequence[tokens.Text]) -> np.ndarray:
        logits = batcher.logits(tokens.encode(model.tokenizer, texts)).logits
        if task.problem_type is ProblemType.VALUES:
            return logits.astype("float64")
        one = task.problem_type is ProblemType.ONE_LABEL
        return outputs.softmax(logits) if one else outputs.sigmoid(logits)

    return score


@dataclass
class _Classes:
    """Answers of a model with labels, as they come."""

    task: Task
    answers: Answers = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)

    def add(self, chunk: Sequence[Example], before: np.ndarray, after: np.ndarray) -> None:
        for example, one, other in zip(chunk, before, after, strict=True):
            labels, others = self._labels(one), self._labels(other)
            expected = tuple(map(int, example.expected))
            self.answers[expected, labels, others] += 1
            if labels != others:
                size = float(abs(one - other).max())
                answers = self._shown(labels, one), self._shown(others, other)
                _keep(self.changes, Change(size, example.number, example.text, *answers))

    def found(self, task: Task, plan: Plan) -> dict[str, Any]:
        found = figures.agreement(self.answers)
        if not plan.labelled:
            return found
        if not any(expected for expected, _, _ in self.answers):
            raise ExamplesError(f"{plan.file} has no label in any line")
        return found | figures.quality(self.answers, task.labels)

    def _labels(self, scores: np.ndarray) -> Places:
        if self.task.problem_type is ProblemType.ONE_LABEL:
            return (int(scores.argmax()),)
        return tuple((scores >= outputs.THRESHOLD).nonzero()[0].tolist())

    def _shown(self, places: Places, scores: np.ndarray) -> str:
        names = self.task.labels
        return ", ".join(f"{names[place]} ({scores[place]:.3f})" for place in places) or "no label"


@dataclass
class _Values:
    """Answers of a model with values, as they come."""

    expected: list[tuple[float, ...]] = field(default_factory=list)
    before: list[np.ndarray] = field(default_factory=list)
    after: list[np.ndarray] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def add(self, chunk: Sequence[Example], before: np.ndarray, after: np.ndarray) -> None:
        self.expected += [example.expected for example in chunk]
        self.before.append(before)
        self.after.append(after)
        for example, one, other in zip(chunk, before, after, strict=True):
            answers = (", ".join(f"{value:.4f}" for value in values) for values in (one, other))
            size = float(abs(one - other).max())
            _keep(self.changes, Change(size, example.number, example.text, *answers))

    def found(self, _: Task, plan: Plan) -> dict[str, Any]:
        import numpy as np

        before, after = np.concatenate(self.before), np.concatenate(self.after)
        found = figures.differences(before, after)
        if plan.labelled:
            found |= figures.errors(np.array(self.expected), before, after)
        return found


def _keep(changes: list[Change], change: Change) -> None:
    """Keep a change if it is among the largest."""
    if len(changes) < SHOWN:
        heapq.heappush(changes, change)
    else:
        heapq.heappushpop(changes, change)
