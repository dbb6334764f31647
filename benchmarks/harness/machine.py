"""Describe this machine, its packages, and what else it did during a measurement."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata

from benchmarks.harness import cpu_kind

PACKAGES = (
    "onnxruntime",
    "tokenizers",
    "numpy",
    "flask",
    "gunicorn",
    "jsonlines",
    "torch",
    "transformers",
)
# What int8 products are fast with, the slowest first.
FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8")


def facts() -> dict[str, str]:
    """Return the date, the CPU and its flags, packages, and how busy the machine was before."""
    lines = cpu_kind.CPUINFO.read_text().splitlines()
    fields = {name.strip(): value for name, _, value in (line.partition(": ") for line in lines)}
    flags = cpu_kind.flags()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "CPU": f"{fields.get('model name', 'unknown')}, {os.cpu_count()} CPUs",
        "CPU kind": cpu_kind.kind() + (f", {cpu_kind.HIDDEN}" if cpu_kind.hidden() else ""),
        "CPU flags": ", ".join(f"{flag} {'yes' if flag in flags else 'no'}" for flag in FLAGS),
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES),
        "load of the machine at the start": f"{os.getloadavg()[0]:.1f}",
    }


class OtherWork:
    """What a machine does beside a measurement, from the making of this on.

    The measurement is this process and its children, which must have ended when words are asked
    for: their CPU time is known only then.
    """

    def __init__(self) -> None:
        self._start = _seconds()

    def words(self) -> str:
        """Say how much of the CPU time others had, on this machine and on its host."""
        wall, busy, stolen, own = (
            now - before for now, before in zip(_seconds(), self._start, strict=True)
        )
        whole = wall * (os.cpu_count() or 1)
        others = max(busy - own, 0.0)
        return f"{others / whole:.0%} of the CPU time, and {stolen / whole:.0%} taken by the host"


def _seconds() -> tuple[float, float, float, float]:
    """Return wall clock, CPU seconds of all processes, those that the host took, and our own."""
    import psutil

    whole, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = whole.user + whole.nice + whole.system + whole.irq + whole.softirq
    used = own.user + own.system + own.children_user + own.children_system
    return time.monotonic(), busy, whole.steal, used
