"""Mark what a rehearsal starts, so that the next one can end what a killed one has left."""

from __future__ import annotations

import os
import socket
from pathlib import Path

# The label of containers that has the mark.
LABEL = "rehearse.owner"


def owner() -> str:
    """Return what tells this process from every other: machine, number and time of its start.

    The machine is a host and a namespace of processes: a Docker engine may be used from several.
    """
    return f"{_machine()}:{os.getpid()}:{started(os.getpid())}"


def is_dead(mark: str) -> bool:
    """Return whether this is the mark of a process of this machine that runs no longer."""
    machine, _, process = mark.partition(":")
    number, _, ticks = process.partition(":")
    if machine != _machine() or not number.isdecimal():
        return False
    return started(int(number)) != ticks


def read_mark(path: Path) -> str:
    """Return what stands in a file that this user has written; raise OSError for others'."""
    if path.is_symlink() or path.parent.is_symlink() or path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} is another's")
    return path.read_text()


def started(pid: int) -> str:
    """Return when a process was started, in ticks since the start of the machine, or "".

    A process that has ended and still has its number has none:
    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] in "ZX" else after_name[19]


def _machine() -> str:
    namespace = Path("/proc/self/ns/pid").readlink().name
    return f"{socket.gethostname()}/{namespace.strip('pid:[]')}"
