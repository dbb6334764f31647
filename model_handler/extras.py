"""Say which `pip install` brings the packages of an extra that are not installed."""

from __future__ import annotations

import importlib.util

PROJECT = "sagemaker-serverless-sentiment"
# torch's default build for Linux brings gigabytes of CUDA, which nothing here uses.
TORCH = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
_TORCH = ("torch", "transformers", "safetensors")
# What the extras of pyproject.toml bring, by the names under which it is imported.
EXTRAS = {
    "torch": _TORCH,
    "compress": (*_TORCH, "matplotlib", "onnx", "sympy", "tqdm"),
    "train": (*_TORCH, "accelerate", "all_minilm_l6_v2", "sklearn", "tqdm"),
}


def missing(extra: str, purpose: str) -> str | None:
    """Say what an extra lacks and what installs it, in one line; None if all of it is there."""
    name = next((name for name in EXTRAS[extra] if not _is_installed(name)), None)
    if name is None:
        return None
    return f"{name} is not installed, which {purpose} needs: {install(extra)}"


def install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"{TORCH} && pip install '{PROJECT}[{extra}]' (in a clone of this project: '.[{extra}]')"


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
