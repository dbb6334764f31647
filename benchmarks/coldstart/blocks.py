"""Count the blocks of files that a start touches until its first answer, by file.

A start reads copies of all files that it opens. They are put out of the page cache before, and the
device reads nothing ahead, so that what is in the cache at the first answer is what was touched.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.harness import cpu_kind, page_cache, servers, texts
from benchmarks.harness.client import body
from benchmarks.harness.subjects import Subject
from requirements import library_order

T = TypeVar("T")

PLACE = servers.ROOT / "build" / "benchmarks"  # on a disk, which /tmp may not be
# The kernel's own, and what hides VNNI.
APART = ("/proc/", "/sys/", "/dev/", str(cpu_kind.MASK))


class UnknownError(Exception):
    """What was touched cannot be found out here; the message says why."""


@dataclass(frozen=True)
class Opened:
    """The files that a start opens or maps, how often it opens one, and looks for one in vain."""

    files: list[Path]
    times: int
    in_vain: int


@dataclass(frozen=True)
class Touched:
    """A file, and how many of its blocks and of their bytes a start touched."""

    file: Path
    blocks: int
    bytes: int


def opened(subject: Subject) -> Opened:
    """Return what a start opens, as strace sees it; raises UnknownError without strace."""
    if shutil.which("strace") is None:
        raise UnknownError("strace is not installed")
    launch = subject.launch
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "strace"
        options = ("-f", "-y", "-e", "trace=open,openat", "-o", str(log))
        command = ("strace", *options, *launch.command)
        with servers.running(replace(launch, command=command), {0}) as running:
            running.wait(body(texts.FIRST))
            # strace would leave the server behind; without one it ends by itself.
            _, *processes = servers.tree(running.process.pid)
            mapped = [_mapped(process) for process in processes]
            os.kill(processes[0], signal.SIGTERM)
            running.process.wait(servers.STOP_SECONDS)
        calls = re.findall(r"open(?:at)?\(.*\) = (-?\d+)(?:<(/[^>]*)>)?", log.read_text())
    paths = {path for result, path in calls if int(result) >= 0}.union(*mapped)
    files = sorted(Path(path) for path in paths if path and not path.startswith(APART))
    found = sum(int(result) >= 0 for result, _ in calls)
    return Opened([file for file in files if file.is_file()], found, len(calls) - found)


def touched(subject: Subject, files: list[Path]) -> list[Touched]:
    """Return what a start touches of its files, the most first; raises UnknownError.

    Libraries have the order that they have in the image.
    """
    packages, recorded = Path(sysconfig.get_path("platlib")), library_order.read()
    libraries = {packages / name: known for name, known in recorded.items()}
    found = after_start(subject, files, _in_blocks, libraries)
    listed = (Touched(file, *each) for file, each in zip(files, found, strict=True))
    return sorted((each for each in listed if each.blocks), key=lambda each: -each.bytes)


def _in_blocks(file: Path) -> tuple[int, int]:
    """Return how many blocks of a file are in the page cache, and their bytes."""
    found = page_cache.blocks(file)
    return len(found), page_cache.length(file, found)


def after_start(
    subject: Subject,
    files: list[Path],
    look: Callable[[Path], T],
    libraries: Mapping[Path, library_order.Recorded] | None = None,
) -> list[T]:
    """Return what `look` tells of each of the files, of which a start has touched a copy.

    Copies of `libraries` have the order of the image. Raises UnknownError. It takes root: for a
    mount namespace, and for the device's read-ahead.
    """
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE, prefix="copies-") as folder:
        pairs, copies = Path(folder) / "list", []
        for number, file in enumerate(files):
            copies.append(Path(folder) / str(number))
            shutil.copy2(file, copies[-1])
            known = (libraries or {}).get(file)
            ordered = known and library_order.ordered(file.read_bytes(), known)
            if ordered:
                copies[-1].write_bytes(ordered)
        lines = (f"{copy}\t{file}\n" for copy, file in zip(copies, files, strict=True))
        pairs.write_text("".join(lines))
        start = (sys.executable, "-m", "benchmarks.coldstart.private_copies", str(pairs))
        launch = replace(subject.launch, command=(*start, *subject.launch.command))
        try:
            with page_cache.without_read_ahead(pairs):
                for copy in copies:
                    page_cache.evict(copy)
                with _stopped_at_first_answer(subject, launch):
                    return [look(copy) for copy in copies]
        except OSError as error:
            raise UnknownError(f"{error}; it takes root") from error


@contextmanager
def _stopped_at_first_answer(subject: Subject, launch: servers.Launch) -> Iterator[None]:
    """Start a server, and give the moment of its first answer: it does nothing more meanwhile."""
    with servers.running(launch, {0}) as running:
        answers = running.wait(body(texts.FIRST))
        processes = servers.tree(running.process.pid)
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            subject.check(answers)
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)


def _mapped(process: int) -> set[str]:
    """Return the files that a process has mapped."""
    maps = Path(f"/proc/{process}/maps").read_text()
    return set(re.findall(r" (/.*)$", maps, re.MULTILINE))
