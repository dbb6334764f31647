"""Write a folder whole or not at all, and find what is in the way before any work is done."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compress import interrupts
from model_handler import manifest
from model_handler.errors import ArtifactError, ModelError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# onnxruntime says that it could not write, but not why; with less than this free the disk is full.
NOTHING_LEFT = 1_000_000


def check_new(out: Path) -> None:
    """Raise ArtifactError unless `out` can be written: it is missing or an empty folder."""
    try:
        if out.is_symlink():
            raise ArtifactError(f"{out} is a link; name the folder itself")
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ArtifactError(f"{out} exists and is not an empty directory; name a new one")
    except OSError as error:
        raise ArtifactError(f"{out} cannot be written: {error.strerror}") from error
    check_writable(out)


def check_writable(folder: Path) -> None:
    """Raise ArtifactError unless a file can be written to a folder, which may have to be made."""
    try:
        there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        if not there.is_dir():
            raise ArtifactError(f"{folder} cannot be written: {there} is not a directory")
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written: {error.strerror}") from error


@contextmanager
def created(folder: Path) -> Iterator[None]:
    """Make a folder and its parents; if the block fails, remove again those that were made."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with interrupts.held():
            for each in missing:
                with suppress(OSError):  # others may have put something there meanwhile
                    each.rmdir()
        raise


@contextmanager
def whole(out: Path) -> Iterator[tuple[Path, Path]]:
    """Give two empty folders; what the block leaves in the first is in `out` if it ends well.

    The second is for files in between. If it fails, `out` is as it was before. They are in `out`
    itself, which may be where another disk is mounted, and cannot be replaced then. Every user may
    read them.
    """
    hidden = out / ".pack-model"
    made, scratch = hidden / "made", hidden / "scratch"
    moved: list[Path] = []
    with created(out):
        try:
            made.mkdir(parents=True)
            scratch.mkdir()
            with space_for(out):
                yield made, scratch
            # The manifest comes last: without it nobody takes the folder for a model.
            for path in sorted(made.iterdir(), key=lambda path: path.name == manifest.NAME):
                make_readable(path)
                moved.append(path.rename(out / path.name))
        except BaseException:
            with interrupts.held():
                for path in moved:
                    path.unlink()
            raise
        finally:
            with interrupts.held():
                shutil.rmtree(hidden, ignore_errors=True)


def make_readable(file: Path) -> None:
    """Let every user read a file: that of a container is another one.

    safetensors lets only the owner do so.
    """
    file.chmod(file.stat().st_mode | 0o444)


@contextmanager
def space_for(path: Path) -> Iterator[None]:
    """Raise ArtifactError that says so where there is no space left to write `path`."""
    try:
        with full_disk_noticed(path if path.is_dir() else path.parent):
            yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ArtifactError(
            f"{path} cannot be written: the disk is full, or a limit on the size of files is "
            "reached; free some space"
        ) from error


@contextmanager
def full_disk_noticed(directory: Path) -> Iterator[None]:
    """Raise OSError where a library's own error comes from a full disk.

    Use it before what was written is removed, which makes space again.
    """
    try:
        yield
    except (OSError, ModelError):
        raise
    except Exception as error:
        if shutil.disk_usage(directory).free >= NOTHING_LEFT:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
