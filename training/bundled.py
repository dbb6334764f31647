"""Make the bundled model of rated reviews, from the first step to the last.

python -m training.bundled --data DIR --out DIR

Teachers of several kinds learn from the reviews, and each is asked about those that it has not
seen; a small student, cut out of MiniLM-L6, learns to answer as they do on average; biases and
temperature are chosen on reviews that the student has not seen.

What is finished stays in a folder beside OUT, from which an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from compress import command, folder, progress
from compress.examples import ExamplesError
from model_handler import extras
from training import card, classifier, data, encoders, scoring, student, teachers
from training.data import Review, Sentence
from training.teachers import TEACHERS

if TYPE_CHECKING:
    import numpy as np

NAME = "training.bundled"
LOGITS = "logits.npy"
METRICS = "metrics.json"
HELD_OUT = 0.2  # of the reviews, which temperature and biases are chosen on


def main(argv: list[str] | None = None) -> None:
    """Run the command line; --help describes it. Exits with 2 if it is wrong, 1 if it fails."""
    options = _options(argv)
    lacking = extras.missing("train", "training")
    if lacking is not None:
        command.fail(NAME, lacking, 2)
    left = f"run it again to go on from {options.work}"
    command.run(NAME, lambda say: Run(options, say).make(), left)
    print((options.out / METRICS).read_text(encoding="utf-8"), end="")


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=NAME, description="Make the bundled model of rated reviews."
    )
    add = parser.add_argument
    add("--version", action="version", version=f"%(prog)s {version(extras.PROJECT)}")
    add("--data", type=Path, required=True, help="has train.jsonl.gz and validation.jsonl.gz")
    add("--out", type=Path, required=True, help="checkpoint to write, for pack-model")
    add("--work", type=Path, help="folder for what is finished; OUT-work by default")
    add("--seed", type=int, default=7)
    add("--teacher-encoder", type=Path, help="all-mpnet-base-v2, if its packages are not there")
    add("--student-encoder", type=Path, help="all-MiniLM-L6-v2, in place of its package")
    options = parser.parse_args(argv)
    options.work = options.work or options.out.with_name(f"{options.out.name}-work")
    return options


class Run:
    """One run of the command: its stages write a folder each, whole or not at all."""

    def __init__(self, options: argparse.Namespace, say: progress.Steps) -> None:
        """Read the data. Raises ExamplesError, or ArtifactError if nothing can be written."""
        self.options, self.say = options, say
        folder.check_new(options.out)
        self.reviews = data.read(options.data / "train.jsonl.gz")
        self.validation = data.read(options.data / "validation.jsonl.gz")
        self.taught, self.kept = data.split(self.reviews, HELD_OUT, options.seed)
        self.lessons = student.lessons(self.taught, options.seed)
        given = {encoders.MINILM: options.student_encoder, encoders.MPNET: options.teacher_encoder}
        self.folders: dict[str, Path] = {name: path for name, path in given.items() if path}
        _claim(options.work, options.seed, self.reviews)

    def make(self) -> None:
        """Make the model. Raises ModelError."""
        work = self.options.work
        for name, unpack in ((encoders.MINILM, encoders.minilm), (encoders.MPNET, encoders.mpnet)):
            if name not in self.folders:
                self.folders[name] = work / name
                self._stage(f"unpack {name}", work / name, unpack)
        for seed, (name, teacher) in enumerate(TEACHERS.items(), self.options.seed):
            for fold in range(data.FOLDS):
                title = f"train {name}, and ask it about fold {fold + 1} of {data.FOLDS}"
                ask = partial(self._ask, teacher.train, fold, seed)
                self._stage(title, self._told(name, fold), ask)
        self._stage("cut the student", work / "cut", self._cut)
        for number, out in enumerate(self._students):
            title = f"teach student {number + 1} of {student.STUDENTS}"
            self._stage(title, out, partial(self._teach, self.options.seed + number))
        self.say("set how sure it is, and measure it")
        with folder.whole(self.options.out) as (made, _):
            self._finish(made)

    def _stage(self, title: str, out: Path, write: Callable[[Path, Path], None]) -> None:
        """Write a folder of the work folder, unless it is there; it appears when it is whole."""
        if out.is_dir():
            return
        self.say(title)
        with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            write(made, Path(scratch))
            made.rename(out)

    def _told(self, teacher: str, fold: int) -> Path:
        """Return where the logits are that a teacher gives for the lessons of a fold."""
        work: Path = self.options.work
        return work / f"{teacher}-fold-{fold + 1}"

    def _places(self, fold: int) -> list[int]:
        """Return which lessons are of a fold."""
        folds = [data.fold(lesson.review) for lesson in self.lessons]
        return [place for place, found in enumerate(folds) if found == fold]

    def _ask(self, train: teachers.Train, fold: int, seed: int, made: Path, _: Path) -> None:
        """Write what a teacher says of the lessons of a fold, which it has not learnt from."""
        import numpy as np

        answer = train(teachers.draw(self.reviews, fold, seed), self.folders, seed)
        np.save(made / LOGITS, answer([self.lessons[place].text for place in self._places(fold)]))

    def _answers(self) -> dict[str, np.ndarray]:
        """Return the logits of each teacher for all lessons, float32 (N, L)."""
        import numpy as np

        found = {name: np.zeros((len(self.lessons), len(data.LABELS)), "f") for name in TEACHERS}
        for fold in range(data.FOLDS):
            places = self._places(fold)
            for name, logits in found.items():
                logits[places] = np.load(self._told(name, fold) / LOGITS)
        return found

    def _cut(self, made: Path, _: Path) -> None:
        student.cut(self.folders[encoders.MINILM], _texts(self.reviews), made, self.options.seed)

    @property
    def _students(self) -> list[Path]:
        return [self.options.work / f"student-{each + 1}" for each in range(student.STUDENTS)]

    def _teach(self, seed: int, made: Path, _: Path) -> None:
        found = classifier.open_checkpoint(self.options.work / "cut")
        targets = student.targets(self.lessons, teachers.average(self._answers()))
        student.teach(found, [lesson.text for lesson in self.lessons], targets, seed)
        found.save(made)

    def _quality(self) -> dict[str, float]:
        """Return the macro F1 of each teacher, and of their average, on whole lessons."""
        told = self._answers()
        whole = [place for place, lesson in enumerate(self.lessons) if lesson.whole]
        expected = [self.lessons[place].review.label for place in whole]
        return {
            name: round(scoring.macro_f1(scoring.answers(logits[whole]).labels, expected), 4)
            for name, logits in (told | {"average": teachers.average(told)}).items()
        }

    def _finish(self, made: Path) -> None:
        found = student.mean([classifier.open_checkpoint(each) for each in self._students])
        kept = found.logits(_texts(self.kept))
        calibration = scoring.calibrate(kept, _labels(self.kept))
        student.fold(found, calibration)
        sanity = data.sanity()
        figures = {
            "seed": self.options.seed,
            "lessons": sum(lesson.whole for lesson in self.lessons),
            "teachers": self._quality(),
            "biases": calibration.biases,
            "temperature": calibration.temperature,
            "held_out": {"reviews": len(self.kept)}
            | scoring.report(scoring.answers(calibration.apply(kept)), _labels(self.kept)),
            "validation": scoring.report(
                scoring.answers(found.logits(_texts(self.validation))), _labels(self.validation)
            ),
            "sanity": scoring.by_group(
                scoring.answers(found.logits(_texts(sanity))).labels, sanity
            ),
        }
        found.save(made)
        (made / METRICS).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        card.write(made, figures)


def _texts(reviews: Sequence[Review | Sentence]) -> list[str]:
    return [review.text for review in reviews]


def _labels(reviews: Sequence[Review]) -> list[int]:
    return [review.label for review in reviews]


def _claim(work: Path, seed: int, reviews: Sequence[Review]) -> None:
    """Refuse a folder in which other data or another seed is being worked on."""
    texts = "\n".join(f"{review.rating} {review.text}" for review in reviews)
    mine = {"seed": seed, "reviews": hashlib.sha256(texts.encode()).hexdigest()}
    file = work / "made-from.json"
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) != mine:
        raise ExamplesError(
            f"{work} is of other reviews or another seed; name a new one with --work"
        )
    work.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(mine) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
