"""Run a command that sees private copies of files in their places.

`python -m benchmarks.coldstart.private_copies LIST COMMAND...`: each line of LIST has a copy and
the file that it stands for, between them a tab. What is mapped by some process, as the C library is
by all, never leaves the page cache; of a copy, what is there after a start is what that touched.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

# https://man7.org/linux/man-pages/man2/unshare.2.html and mount.2.html; os.unshare is Python 3.12's
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000


def main() -> None:
    """Mount the copies in a mount namespace of its own, and become the command."""
    pairs, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(CLONE_NEWNS), "unshare")
    _check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "/")
    for line in Path(pairs).read_text().splitlines():
        copy, original = line.split("\t")
        _check(libc.mount(copy.encode(), original.encode(), None, MS_BIND, None), original)
    os.execvp(command[0], command)


def _check(failed: int, what: str) -> None:
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main()
