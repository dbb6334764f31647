"""Write a packed directory as the model.tar.gz that SageMaker takes."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from compress import folder, interrupts, progress
from compress.packed_files import CARD
from model_handler import manifest as manifests
from model_handler.errors import ArtifactError

# Where SageMaker's containers look for an owner's own code:
# https://sagemaker.readthedocs.io/en/stable/frameworks/pytorch/using_pytorch.html
CODE = "code"


def check(target: Path, directory: Path) -> None:
    """Raise ArtifactError unless an archive of `directory` can be written to `target`."""
    try:
        if target.resolve().is_relative_to(directory.resolve()):
            raise ArtifactError(
                f"{target} lies in {directory}, of which it is to be the archive; name another path"
            )
        if directory.resolve().is_relative_to(target.resolve()):
            raise ArtifactError(f"{target} is to be a file, and {directory} lies in it")
        for path in (target, _partial(target)):
            if path.exists() and not path.is_file():
                raise ArtifactError(f"{path} exists and is not a file; name another path")
    except OSError as error:
        raise ArtifactError(f"{target} cannot be written: {error.strerror}") from error
    folder.check_writable(target.parent)


@contextmanager
def placed(target: Path | None, directory: Path) -> Iterator[Callable[[Path], tuple[str, ...]]]:
    """Give a function that archives a folder; the archive is at `target` if the block ends well.

    The function is `write` below, without its second argument; if there is no `target`, it does
    nothing. Raises ArtifactError at once if an archive of `directory` cannot be written there.
    """
    if target is None:
        yield lambda _: ()
        return
    check(target, directory)
    partial = _partial(target)

    def write_partial(made: Path) -> tuple[str, ...]:
        with folder.space_for(target):
            return write(made, partial)

    with folder.created(target.parent):
        try:
            yield write_partial
            if partial.exists():
                os.replace(partial, target)
        finally:
            with interrupts.held():
                partial.unlink(missing_ok=True)


def write(directory: Path, target: Path) -> tuple[str, ...]:
    """Write a deterministic archive, the files at its root as SageMaker expects them.

    Same files, same bytes: names sorted, no times, no owners. Returns the names of what is left
    out: all that is neither the model's, by its manifest, nor its card nor its code.
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    """
    files = contents(directory)
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        progress.bar(sum(path.stat().st_size for path in files.values()), "B") as count,
    ):
        for name, path in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            entry.mode = 0o644
            with path.open("rb") as content:
                archive.addfile(entry, _Counted(content, count))
    return _left_out(directory, files)


def contents(directory: Path) -> dict[str, Path]:
    """Find the files that belong in the archive, by their names in it, sorted."""
    manifest = manifests.read(directory)
    names = {manifests.NAME, *manifest.files}
    for prepacked in manifest.prepacked:
        names |= set(prepacked.files)
    if (directory / CARD).is_file():
        names.add(CARD)
    for path in (directory / CODE).rglob("*"):
        if _is_code(path.relative_to(directory), path):
            names.add(path.relative_to(directory).as_posix())
    return {name: directory / name for name in sorted(names)}


def _left_out(directory: Path, files: Mapping[str, Path]) -> tuple[str, ...]:
    """Name what is in a directory, or in its code, but not among the files of the archive."""
    paths = [path for path in directory.iterdir() if path.name != CODE]
    paths += [path for path in (directory / CODE).rglob("*") if not path.is_dir()]
    names = {path.relative_to(directory).as_posix() for path in paths}
    return tuple(sorted(names - set(files)))


def _is_code(inside: Path, path: Path) -> bool:
    """Return whether a path is a plain file, not hidden and not compiled: an owner's code."""
    hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
    return not hidden and stat.S_ISREG(path.lstat().st_mode)


class _Counted:
    """A file that calls `count` with how many bytes were read of it."""

    def __init__(self, content: IO[bytes], count: Callable[[int], object]) -> None:
        self._content = content
        self._count = count

    def read(self, size: int = -1) -> bytes:
        """Read as the file does."""
        found = self._content.read(size)
        self._count(len(found))
        return found


def _partial(target: Path) -> Path:
    return target.with_name(target.name + ".partial")
