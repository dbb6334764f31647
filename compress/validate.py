"""Compare a smaller model with its source on the owner's own texts, and hold it to its budgets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from compress import comparison, examples, gate, packed_files, progress, scores
from compress.examples import Data, Task
from compress.gate import Plan
from compress.report import Report
from model_handler import Limits, artifacts, resources
from model_handler import manifest as manifests
from model_handler.engines import Options
from model_handler.tokens import Pairs

if TYPE_CHECKING:
    from model_handler.engines import Model


def open_data(checkpoint: Path, plan: Plan, pairs: bool = False) -> Data:
    """Read the file of a plan for the task of a checkpoint, and check that its budgets can be told.

    `pairs`: records have pairs of texts as their features. Raises ExamplesError if not, or if a
    line is wrong, and ArtifactError if it is no checkpoint.
    """
    data = examples.open_data(plan.file, task_of(checkpoint, pairs), plan.labelled)
    gate.check_possible(plan.budgets, data)
    return data


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


def judge(source: Model, result: Model, data: Data, budgets: Mapping[str, float]) -> Report:
    """Compare a model with its source, and print the report; raises BudgetError if it is worse."""
    with progress.bar(2 * data.rows, " texts") as count:
        report = comparison.compare(
            scores.logits(source, data, count), scores.logits(result, data, count), data
        )
    with suppress(OSError):  # nobody may be there to read it
        print(report, flush=True)
    gate.check(report.found, budgets)
    return report


def validate(checkpoint: Path, made: Path, plan: Plan, data: Data) -> Report:
    """Judge a packed model, and enter the figures in the manifest and the card.

    Raises BudgetError if a budget is missed.
    """
    from model_handler.engines import torch_engine

    limits = Limits(resources.threads())
    packed = artifacts.open_model(made, limits)
    packed.engine.settle()  # what is left to do is to change to the layout of this CPU
    manifest = manifests.read(made)
    options = Options(manifest.max_length, manifest.pairs)
    original = torch_engine.open_model(checkpoint, limits, options)
    report = judge(original, packed, data, plan.budgets)
    manifest._replace(validation=report.figures()).write(made)
    packed_files.add_to_card(made, "Validated", str(report).partition("\n\n")[0])
    return report
