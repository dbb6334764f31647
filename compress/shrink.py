"""Make a smaller checkpoint that answers like a larger one: the command shrink-model."""

from __future__ import annotations

import importlib
import random
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import (
    chain,
    command,
    examples,
    folder,
    gate,
    page,
    progress,
    shrink_arguments,
    source,
    student,
    validate,
)
from compress.costs import Opened
from compress.distil import Settings
from compress.examples import Data, Example, Task
from compress.student import Size, Student
from model_handler import Limits, extras, resources
from model_handler import manifest as manifests
from model_handler.engines import Options
from model_handler.errors import ArtifactError
from model_handler.tokens import Pairs

if TYPE_CHECKING:
    from model_handler.engines import Model

NAME = "shrink-model"
# One text of so many is held out to compare with, where no file is named for that.
HELD_OUT = 10


@dataclass(frozen=True)
class Work:
    """What to do.

    `data` are the texts to learn from. `start` and `teacher` are checkpoints, None for the one that
    is to shrink. `validate` are the texts to compare with, None for a part of `data`; `labelled` is
    as in examples.open_data, of the texts to compare with.
    """

    data: Path
    size: Size
    settings: Settings
    options: Options
    start: Path | None = None
    teacher: Path | None = None
    validate: Path | None = None
    labelled: bool | None = None
    budgets: Mapping[str, float] = field(default_factory=dict)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; --help describes it, and the exit codes."""
    options = shrink_arguments.read(argv)
    lacking = extras.missing("compress", "shrinking")
    if lacking is not None:
        command.fail(NAME, lacking, 2)
    command.run(NAME, lambda say: _run(options, say))


def _run(options: Namespace, say: progress.Steps) -> None:
    """Do what the command line asks for, and print what came out."""
    pairs = Pairs.FEATURES if options.pairs else Pairs.TEXT_PAIR
    work = Work(
        data=options.data,
        size=Size(options.layers, options.ffn, options.pieces, options.keep_vocabulary),
        settings=Settings(
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            temperature=options.temperature,
            label_weight=options.label_weight,
            seed=options.seed,
        ),
        start=options.start,
        teacher=options.teacher,
        options=Options(options.max_length, pairs),
        validate=options.validate,
        labelled=options.labels,
        budgets=dict(options.gate),
    )
    shrink(options.checkpoint, options.out, work, say)
    say.end()
    size = sum(path.stat().st_size for path in options.out.iterdir())
    with suppress(OSError):
        print(f"{options.out}: {size / 1e6:.1f} MB; pack it with pack-model", flush=True)


def shrink(checkpoint: str, out: Path, work: Work, say: Callable[[str], None]) -> None:
    """Make a student of a checkpoint, compare the two, and only then put the student at `out`.

    Raises ModelError when a checkpoint cannot be opened or cut, or something cannot be written,
    ExamplesError when texts cannot be read, BudgetError when the student answers worse than the
    budgets allow; nothing is written then.
    """
    for each in (checkpoint, work.start, work.teacher):
        if each is not None:
            source.check(str(each))
    folder.check_new(out)
    say("import PyTorch and transformers")
    importlib.import_module("transformers.modeling_utils")  # seconds that are no other step's
    with folder.whole(out) as (made, scratch):
        found = source.find(checkpoint, scratch, say)
        steps = chain.read(found.directory)
        say(f"read {work.data}")
        pairs = work.options.pairs is Pairs.FEATURES
        taught, kept = _examples(work, validate.task_of(found.directory, pairs))
        say("open the checkpoint")
        original = _open(found.directory, work)
        small = _make(found.directory, original, taught, work, (made, scratch), say)
        say(f"compare with {kept.rows:,} texts")
        models = Opened(found.directory, original), Opened(made, _open(made, work))
        report = validate.judge(*models, kept, work.budgets)
        steps = *steps, chain.step(NAME, found, _settings(work, len(taught), small), report)
        chain.write(made, steps)
        page.write_chain(made, out.resolve().name, steps, report)


def _make(
    directory: Path,
    original: Model,
    taught: Sequence[Example],
    work: Work,
    folders: tuple[Path, Path],
    say: Callable[[str], None],
) -> Student:
    """Write a student of the original, or of work.start, to the first of two folders.

    The second is for files in between.
    """
    from transformers import AutoTokenizer

    made, scratch = folders
    start = directory
    if work.start:
        start = _with_head(work.start, directory, scratch / "start", work.settings.seed)
    base = _open(start, work) if work.start else original
    student.check(base, work.size)
    teacher = _open(work.teacher, work) if work.teacher else original
    student.check_labels(base, teacher)
    tokenizer = AutoTokenizer.from_pretrained(start, local_files_only=True)
    say(f"choose what stays, with {len(taught):,} texts")
    found = student.make(base, tokenizer, taught, work.size, work.settings.seed)
    if work.settings.epochs:
        say("distil")
        with progress.bar(work.settings.epochs * len(taught), " texts") as count:
            student.teach(found, base, teacher, taught, work.settings, count)
    say("write the checkpoint")
    student.save(found, tokenizer, made)
    return found


def _settings(work: Work, texts: int, small: Student) -> dict[str, Any]:
    """Return what decides the result, for the chain."""
    others = {
        name: {"name": path.resolve().name, "sha256": chain.sha256(path)}
        for name, path in (("start", work.start), ("teacher", work.teacher))
        if path
    }
    return {
        "data": {"file": work.data.name, "sha256": manifests.sha256(work.data), "texts": texts},
        "layers": small.layers,
        "ffn": work.size.ffn,
        "pieces": small.pieces and len(small.pieces),
        "distillation": asdict(work.settings),
        **work.options._asdict(),
        **others,
    }


def _open(directory: Path, work: Work) -> Model:
    from model_handler.engines import torch_engine

    return torch_engine.open_model(directory, Limits(resources.threads()), work.options)


def _examples(work: Work, task: Task) -> tuple[list[Example], Data]:
    """Read the texts to learn from, and those to compare with."""
    labelled = False if work.validate else work.labelled
    data = examples.open_data(work.data, task, bool(work.settings.label_weight) or labelled)
    kept = data
    if work.validate:
        kept = examples.open_data(work.validate, task, work.labelled)
    elif data.rows >= HELD_OUT:  # else there are too few for two parts
        numbers = [example.number for example in data]
        drawn = random.Random(work.settings.seed).sample(numbers, -(-data.rows // HELD_OUT))
        kept = data.part(frozenset(drawn))
    gate.check_possible(work.budgets, kept)
    return [each for each in data if not (kept.numbers and each.number in kept.numbers)], kept


def _with_head(start: Path, checkpoint: Path, out: Path, seed: int) -> Path:
    """Save a pretrained encoder with a new head for the labels of a checkpoint."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    task = AutoConfig.from_pretrained(checkpoint, local_files_only=True)
    torch.manual_seed(seed)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            start,
            local_files_only=True,
            weights_only=True,
            ignore_mismatched_sizes=True,
            id2label=task.id2label,
            label2id=task.label2id,
            problem_type=task.problem_type,
        )
        tokenizer = AutoTokenizer.from_pretrained(start, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{start} cannot be opened: {error}") from error
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


if __name__ == "__main__":
    main()
