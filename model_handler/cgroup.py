"""The name of a limit in, the tightest value that a cgroup of this process sets for it out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def cpus(root: Path = Path("/")) -> float | None:
    """CPUs by the CPU quota; None when there is none. `root` is where /proc and /sys are.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max)
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, cgroup v1)
    """
    found = []
    for folder in _folders(root, "cpu"):
        whole = _numbers(folder / "cpu.max")
        if whole is None:
            quota = _numbers(folder / "cpu.cfs_quota_us")
            period = _numbers(folder / "cpu.cfs_period_us")
            whole = [*quota, *period] if quota and period else None
        if whole and len(whole) == 2 and whole[0] > 0 and whole[1] > 0:
            found.append(whole[0] / whole[1])
    return min(found, default=None)


def memory(root: Path = Path("/")) -> int | None:
    """Bytes by the memory limit; None when there is none.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max)
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.limit_in_bytes)
    """
    found = []
    for folder in _folders(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            found += [int(number) for number in _numbers(folder / name) or []]
    # Version 1 writes "no limit" as the largest number of pages that fits 63 bits.
    return min((size for size in found if 0 < size < 2**60), default=None)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Folders with this controller's files: the process's own cgroup and all above it."""
    mounts = {"": root / "sys/fs/cgroup", controller: root / "sys/fs/cgroup" / controller}
    yield from mounts.values()  # in a container the mount itself is the container's cgroup
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            if name in mounts:
                own = Path(path.lstrip("/"))
                yield from (mounts[name] / part for part in (own, *own.parents))


def _numbers(path: Path) -> list[float] | None:
    """The numbers in a file; None when there is no such file or no limit ("max")."""
    try:
        return [float(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return None
