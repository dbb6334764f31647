"""What this process may use, in one object: threads to compute with, and memory."""

from __future__ import annotations

from dataclasses import dataclass

from model_handler import cgroup, cpu

# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
MEMORY_SIZES_MB = (1024, 2048, 3072, 4096, 5120, 6144)
MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Threads to compute with, and bytes of memory, None where no limit is known."""

    threads: int = 1
    memory: int | None = None


def read(threads: int | None = None, memory_mb: int | None = None) -> Limits:
    """The limits from cgroups and affinity; a thread count and a memory size may be given."""
    memory = cgroup.memory()
    if memory is None and memory_mb is not None:
        memory = memory_mb * MEGABYTE
    return Limits(cpu.threads(threads, memory_mb), memory)


def advice(needed: int) -> str:
    """What to do about a model that needs this many bytes."""
    fitting = [size for size in MEMORY_SIZES_MB if size * MEGABYTE >= needed]
    if fitting:
        return f"choose MemorySizeInMB {fitting[0]}"
    return "no serverless endpoint has as much; choose an instance endpoint"
