"""The limits of this process in, its CPU share, thread count and kind of CPU out."""

from __future__ import annotations

import os
from pathlib import Path

from model_handler import cgroup

# Serverless Inference runs on AWS Lambda, which gives 1 vCPU of CPU time for 1,769 MB, linearly:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
# No table is published for SageMaker; set CPU_THREADS where this rule does not hold.
MEGABYTES_PER_VCPU = 1769
# What decides which int8 kernels run, in the words of /proc/cpuinfo (x86, then Arm).
FEATURES = "avx2 avx512bw avx512_vnni avx_vnni amx_int8 asimddp i8mm sve".split()


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
    quota = cgroup.cpus(root)
    if quota is not None:
        return min(available, quota)
    if memory_mb is not None:
        return min(available, memory_mb / MEGABYTES_PER_VCPU)
    return available


def kind(root: Path = Path("/")) -> str:
    """The kind of CPU, as far as weights packed for it go: "x86_64-avx2-avx512bw-avx512_vnni"."""
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


def limit_libraries(count: int) -> None:
    """Tell the numeric libraries their thread count; call it before an engine is imported."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(count)
    # numpy multiplies no matrices here, so threads of its own would only wait, and spin at it.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # A thread pool of the tokenizer's own would fight with the engine's.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # onnxruntime would tell Microsoft of each session, and keep a database in the home directory.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def _affinity() -> int:
    """CPUs in the affinity mask; all of them where the system has no such mask (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
