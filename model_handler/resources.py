"""Find out what this process may use: how many CPUs, and so threads, and how much memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from platform_facts import MEGABYTE, vcpus

# What decides which int8 kernels run, in the words of /proc/cpuinfo (x86, then Arm).
FEATURES = "avx2 avx512bw avx512_vnni avx_vnni amx_int8 asimddp i8mm sve".split()


class Limits(NamedTuple):
    """Threads to compute with, and bytes of memory, None where no limit is known."""

    threads: int = 1
    memory: int | None = None


def read(threads_wanted: int | None = None, memory_mb: int | None = None) -> Limits:
    """Read the limits of this process; a thread count and a memory size may be given.

    The memory size counts where no cgroup has a limit.
    """
    memory = cgroup_memory()
    if memory is None and memory_mb is not None:
        memory = memory_mb * MEGABYTE
    return Limits(threads(threads_wanted, memory_mb), memory)


def threads(wanted: int | None = None, memory_mb: int | None = None) -> int:
    """Return how many threads an engine should compute with: those wanted, else the rounded share.

    One thread too many costs more than half a CPU left idle: threads of one matrix product wait
    for each other, and a throttled one holds up the rest.
    """
    return wanted or max(1, round(cpu_share(memory_mb)))


def cpu_share(memory_mb: int | None = None, root: Path = Path("/")) -> float:
    """Return the CPUs this process may use: min(affinity, cgroup quota, memory size / 1769 MB).

    The memory size counts only where no quota is visible, as on a platform that throttles from
    outside. `root` is where /proc and /sys are looked for.
    """
    available = float(_affinity())
    quota = cgroup_cpus(root)
    if quota is not None:
        return min(available, quota)
    if memory_mb is not None:
        return min(available, vcpus(memory_mb))
    return available


def cpu_kind(root: Path = Path("/")) -> str:
    """Name the kind of CPU as far as packed weights depend on it: "x86_64-avx2-avx512_vnni"."""
    words: set[str] = set()
    try:
        for line in (root / "proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                words.update(value.split())
                break
    except OSError:  # no such file on macOS, where the machine says enough
        pass
    return "-".join([os.uname().machine, *(word for word in FEATURES if word in words)])


def configure_libraries(threads: int) -> None:
    """Set the environment of the numeric libraries; call it before an engine is imported."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    # numpy multiplies no matrices here, so threads of its own would only wait, and spin at it.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # A thread pool of the tokenizer's own would fight with the engine's.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # onnxruntime would tell Microsoft of each session, and keep a database in the home directory.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def cgroup_cpus(root: Path = Path("/")) -> float | None:
    """Return the CPUs that the tightest quota of a cgroup allows; None when there is no quota.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max)
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, cgroup v1)
    """
    found = []
    for folder in _cgroups(root, "cpu"):
        quota_and_period = _numbers(folder / "cpu.max")
        if quota_and_period is None:
            quota = _numbers(folder / "cpu.cfs_quota_us")
            period = _numbers(folder / "cpu.cfs_period_us")
            quota_and_period = [*quota, *period] if quota and period else None
        if quota_and_period and len(quota_and_period) == 2 and min(quota_and_period) > 0:
            found.append(quota_and_period[0] / quota_and_period[1])
    return min(found, default=None)


def cgroup_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that the tightest limit of a cgroup allows; None when there is no limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max)
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.limit_in_bytes)
    """
    found = []
    for folder in _cgroups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            found += [int(number) for number in _numbers(folder / name) or []]
    # Version 1 writes "no limit" as the largest number of pages that fits 63 bits.
    return min((size for size in found if 0 < size < 2**60), default=None)


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """Give the folders with a controller's files: the process's own cgroup and all above it."""
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
    """Read the numbers in a file; None when there is no such file or no limit ("max")."""
    try:
        return [float(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return None


def _affinity() -> int:
    """Count the CPUs in the affinity mask; all where the system has no such mask (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
