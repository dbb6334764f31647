"""Compare a smaller model with its source on the owner's own texts, and hold it to its budgets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from compress import comparison, costs, examples, gate, progress, scores
from compress.costs import Opened
from compress.examples import Data, Task
from compress.gate import Plan
from compress.report import Report
from model_handler import Limits, artifacts, resources
from model_handler import manifest as manifests
from model_handler.engines import Options
from model_handler.tokens import Pairs


def open_data(checkpoint: Path, plan: Plan, pairs: bool = False) -> Data:
    """Read the file of a plan for the task of a checkpoint, and check that its budgets can be told.

    `pairs`: records have pairs of texts as their features. Raises ExamplesError if not, or if a
    line is wrong, and ArtifactError if it is no checkpoint.
    """
    data = examples.open_data(plan.file, task_of(checkpoint, pairs), plan.labelled)
    gate.check_possible(plan.budgets, data)
    return data


def task_of(directory: Path, pairs: bool = False) -> Task:
    """Read what a model answers from its manifest or its config.json.

    `pairs`: records have pairs of texts as their features. Raises ArtifactError if it is no model.
    """
    from transformers import AutoConfig

    from model_handler.engines import torch_engine

    paths = artifacts.entries(directory)
    if (directory / manifests.NAME).exists():
        manifest = manifests.read(directory)
        return Task(manifest.problem_type, manifest.labels, manifest.pairs)
    artifacts.check_checkpoint(directory, paths)
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    labels, problem_type = torch_engine.task_of(directory, config)
    return Task(problem_type, labels, Pairs.FEATURES if pairs else Pairs.TEXT_PAIR)


def judge(source: Opened, result: Opened, data: Data, budgets: Mapping[str, float]) -> Report:
    """Compare a model with its source, and print the report; raises BudgetError if it is worse."""
    with progress.bar(2 * data.rows, " texts") as count:
        before, after = (scores.logits(each.model, data, count) for each in (source, result))
    report = comparison.compare(before, after, data)
    report = report.with_costs(costs.measure(source), costs.measure(result))
    with suppress(OSError):  # nobody may be there to read it
        print(report, flush=True)
    gate.check(report.found, budgets)
    return report


def validate(checkpoint: Path, made: Path, data: Data, budgets: Mapping[str, float]) -> Report:
    """Judge a packed model by its checkpoint; raises BudgetError if it is worse than allowed."""
    from model_handler.engines import torch_engine

    limits = Limits(resources.threads())
    packed = artifacts.open_model(made, limits)
    packed.engine.settle()  # what is left to do is to change to the layout of this CPU
    options = Options(packed.max_length, packed.pairs)
    original = torch_engine.open_model(checkpoint, limits, options)
    return judge(Opened(checkpoint, original), Opened(made, packed), data, budgets)
