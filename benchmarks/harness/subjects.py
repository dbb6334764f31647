"""Make the models that are compared, the servers of them, and what these are asked."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from benchmarks.harness import servers, texts

DEFAULT_MODEL = servers.ROOT / "models" / "clothing-sentiment"
CHECKPOINT = servers.ROOT / "build" / "benchmarks" / "roberta-base-shaped"
REVIEWS = 64
SHORT, LONG = 16, 64
LENGTHS = (8, SHORT, 32, LONG, 128)  # tokens of single texts
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """A model directory behind a server: what it must answer first, and what else it is asked."""

    folder: Path
    launch: servers.Launch
    label: int | str
    probability: float
    texts: Mapping[int, str]  # one of each of LENGTHS

    def check(self, answers: list[dict[str, Any]]) -> None:
        """Raise SystemExit unless the one answer to FIRST is the right one."""
        (found,) = answers
        near = abs(found["probability"] - self.probability) < 0.1
        if found["predicted_label"] != self.label or not near:
            wanted = f"{self.label} with {self.probability:.3f}"
            raise SystemExit(f"{self.folder} answers {found}, not {wanted}")


@dataclass(frozen=True)
class Subjects:
    """All that is compared, and the reviews that each is sent."""

    ours: Subject
    plain: Subject
    default: Subject
    reviews: list[str]


def prepare(model: Path, checkpoint: Path, data: Path | None) -> Subjects:
    """Return the subjects; the checkpoint and its packed form are made if they are not there.

    It is done in a process of its own: what stays mapped in this one would stay in the page cache
    when that is dropped, and a server would find it there.
    """
    return _apart(_prepare, model, checkpoint, data)


def served(folder: Path) -> Subject:
    """Return a model behind our server; its own answer, from another process, is the right one."""
    return _apart(_subject, folder, folder, servers.ours(folder))


def _apart(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call a function in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *arguments, **named).result()


def packed(checkpoint: Path) -> Path:
    """Return the packed form of a checkpoint; both are made if they are not there.

    It is packed again by each version of compress/, and for each kind of CPU: the pre-packed
    weights are for the one that packed them.
    """
    from benchmarks.harness import random_checkpoint
    from compress import pack
    from model_handler import resources

    if not checkpoint.exists():
        random_checkpoint.make(checkpoint)
    digest = hashlib.sha256(resources.cpu_kind().encode())
    for path in sorted((servers.ROOT / "compress").glob("*.py")):
        digest.update(path.read_bytes())
    folder = checkpoint.with_name(f"{checkpoint.name}-packed-{digest.hexdigest()[:8]}")
    if not (folder / "manifest.json").exists():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was ended meanwhile
        pack.pack(checkpoint, folder, print)
    return folder


def _prepare(model: Path, checkpoint: Path, data: Path | None) -> Subjects:
    from model_handler import Handler

    if not (model / "manifest.json").exists():
        raise SystemExit(f"{model} holds no packed model; name one with --model")
    ours = packed(checkpoint)
    _open_to_all(checkpoint, ours)
    loaded = Handler(ours).load()
    return Subjects(
        ours=_subject(ours, checkpoint, servers.ours(ours)),
        plain=_subject(checkpoint, checkpoint, servers.plain(checkpoint)),
        default=_subject(model, model, servers.ours(model)),
        reviews=texts.reviews(data, loaded.tokenizer, loaded.max_length, REVIEWS),
    )


def _subject(folder: Path, truth: Path, launch: servers.Launch) -> Subject:
    """Return a subject that must answer as the model in `truth` does."""
    from model_handler import Handler, Prediction

    handler = Handler(truth)
    tokenizer = handler.load().tokenizer
    (first,) = handler.predict([texts.FIRST])
    if not isinstance(first, Prediction):
        raise SystemExit(f"{truth} predicts no label; the benchmarks need a model that does")
    made = {tokens: texts.of_length(tokenizer, tokens) for tokens in LENGTHS}
    return Subject(folder, launch, first.predicted_label, first.probability, made)


def _open_to_all(*folders: Path) -> None:
    """Let a container's user read the files, as the platform unpacks an archive."""
    for folder in folders:
        for path in (folder, *folder.iterdir()):
            mode = 0o755 if path.is_dir() else 0o644
            if path.stat().st_mode & mode != mode:
                path.chmod(mode)
