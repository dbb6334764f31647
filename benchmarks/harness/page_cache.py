"""Tell which parts of files are in the page cache, take files out of it, and stop read-ahead."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A container image is loaded in blocks of this size as they are touched: "On-demand Container
# Loading in AWS Lambda", https://www.usenix.org/conference/atc23/presentation/brooker
BLOCK = 512 * 1024


def evict(path: Path) -> None:
    """Take a file out of the page cache; raises OSError if some process holds it there."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if blocks(path):
        raise OSError(f"{path} stays in the page cache")


def blocks(path: Path) -> list[int]:
    """Return the numbers of the blocks of a file that are in the page cache, also in part."""
    return sorted({page * mmap.PAGESIZE // BLOCK for page in pages(path)})


def pages(path: Path) -> list[int]:
    """Return the numbers of the pages of a file that are in the page cache."""
    size = path.stat().st_size
    if size == 0:
        return []
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_COPY) as mapped,
    ):
        start = ctypes.c_char.from_buffer(mapped)
        resident = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        libc = ctypes.CDLL(None, use_errno=True)
        # https://man7.org/linux/man-pages/man2/mincore.2.html
        failed = libc.mincore(ctypes.byref(start), ctypes.c_size_t(size), resident)
        number = ctypes.get_errno()
        del start  # mapped cannot be closed before
    if failed:
        raise OSError(number, os.strerror(number), str(path))
    return [page for page, state in enumerate(resident) if state & 1]


def length(path: Path, touched: list[int]) -> int:
    """Return the bytes of blocks of a file: the last one ends with the file."""
    size = path.stat().st_size
    return sum(min(BLOCK, size - block * BLOCK) for block in touched)


def read_ahead(path: Path) -> Path:
    """Return the file of the kernel that sets the read-ahead of a path's device.

    https://www.kernel.org/doc/Documentation/ABI/stable/sysfs-block
    """
    device = path.stat().st_dev
    folder = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    for place in (folder, folder.parent):  # a partition has the setting of its disk
        if (place / "queue" / "read_ahead_kb").exists():
            return place / "queue" / "read_ahead_kb"
    raise OSError(f"{path} lies on no disk whose read-ahead can be set")


@contextmanager
def without_read_ahead(path: Path) -> Iterator[None]:
    """Stop the read-ahead of a path's device meanwhile, and restore it whatever happens.

    Raises OSError where that is not permitted.
    """
    setting = read_ahead(path)
    before = setting.read_text()
    # SIGTERM would end this process without restoring it.
    handler = signal.signal(signal.SIGTERM, lambda *_: exit(128 + signal.SIGTERM))
    try:
        setting.write_text("0")
        yield
    finally:
        setting.write_text(before)
        signal.signal(signal.SIGTERM, handler)
