"""Nothing in; words about this machine and its packages out."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path

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
    """CPU, its flags, packages, date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = {name.strip(): value for name, _, value in (line.partition(": ") for line in lines)}
    flags = fields.get("flags", "").split()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "CPU": f"{fields.get('model name', 'unknown')}, {os.cpu_count()} CPUs",
        "CPU flags": ", ".join(f"{flag} {'yes' if flag in flags else 'no'}" for flag in FLAGS),
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES),
    }
