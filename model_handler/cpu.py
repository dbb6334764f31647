"""The limits of this process in, its CPU share and thread count out."""

from __future__ import annotations

import os
from pathlib import Path

# Serverless Inference runs on AWS Lambda, which gives 1 vCPU of CPU time for 1,769 MB, linearly:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
# No table is published for SageMaker; set CPU_THREADS where this rule does not hold.
MEGABYTES_PER_VCPU = 1769


def threads(override: int | None = None, memory_mb: int | None = None) -> int:
    """How many threads an engine should compute with: the override, else the rounded share.

    One thread too many costs more than half a CPU left idle: threads of one matrix product wait
    for each other, and a throttled one holds up the rest.
    """
    return override or max(1, round(share(memory_mb)))


def share(memory_mb: int | None = None, root: Path = Path("/")) -> float:
    """CPUs this process may use: min(affinity, cgroup quota, memory size / 1769 MB).

    The memory size counts only where no quota is visible, as on a platform that throttles from
    outside. `root` is where /proc and /sys are looked for.
    """
    available = float(_affinity())
    quota = _quota(root)
    if quota is not None:
        return min(available, quota)
    if memory_mb is not None:
        return min(available, memory_mb / MEGABYTES_PER_VCPU)
    return available


def limit_libraries(count: int) -> None:
    """Tell the numeric libraries their thread count; call it before an engine is imported."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(count)
    # A thread pool of the tokenizer's own would fight with the engine's.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _affinity() -> int:
    """CPUs in the affinity mask; all of them where the system has no such mask (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(root: Path) -> float | None:
    """CPUs by the tightest cgroup quota that holds for this process; None when there is none.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max)
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, cgroup v1)
    """
    found = []
    for folder in _cgroup_folders(root):
        whole = _numbers(folder / "cpu.max")
        if whole is None:
            quota, period = (
                _numbers(folder / "cpu.cfs_quota_us"),
                _numbers(folder / "cpu.cfs_period_us"),
            )
            whole = [*quota, *period] if quota and period else None
        if whole and len(whole) == 2 and whole[0] > 0 and whole[1] > 0:
            found.append(whole[0] / whole[1])
    return min(found, default=None)


def _cgroup_folders(root: Path) -> list[Path]:
    """Folders with the CPU limits of this process: its own cgroup and all above it."""
    mounts = {"": root / "sys/fs/cgroup", "cpu": root / "sys/fs/cgroup/cpu"}
    folders = list(mounts.values())  # in a container the mount itself is the container's cgroup
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return folders
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                own = Path(path.lstrip("/"))
                folders += [mounts[controller] / part for part in (own, *own.parents)]
    return folders


def _numbers(path: Path) -> list[float] | None:
    """The numbers in a cgroup file; None when there is no such file or no limit ("max")."""
    try:
        return [float(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return None
