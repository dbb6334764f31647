"""A model directory in, the engine that fits what lies there out."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from model_handler import manifest
from model_handler.engines import Model
from model_handler.errors import ArtifactError
from model_handler.limits import MEGABYTE, Limits, advice

# Where SageMaker unpacks model.tar.gz:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
PLATFORM_DIR = Path("/opt/ml/model")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
# Without one of these transformers makes up an empty vocabulary, and every answer is wrong.
VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
)
_HERE = Path(__file__).resolve().parent


def default_dir() -> Path:
    """/opt/ml/model if a model lies there, else the bundled one."""
    if (PLATFORM_DIR / manifest.NAME).exists() or (PLATFORM_DIR / "config.json").exists():
        return PLATFORM_DIR
    installed = _HERE / "bundled"
    return installed if installed.exists() else _HERE.parent / "models" / "clothing-sentiment"


def open_model(directory: Path, limits: Limits) -> Model:
    """Open a model directory with the engine that fits; raises ModelError with the reason."""
    if not directory.is_dir():
        raise ArtifactError(f"{directory} is not a directory; set MODEL_DIR to one with a model")
    for path in directory.iterdir():
        if not os.access(path, os.R_OK):
            raise ArtifactError(f"{path} cannot be read by this user; chmod a+rX the model's files")
    if (directory / manifest.NAME).exists():
        from model_handler.engines import onnx_engine

        check_memory(directory, PACKED, limits)
        return onnx_engine.open_model(directory, limits)
    check_checkpoint(directory)
    from model_handler.engines import torch_engine

    check_memory(directory, CHECKPOINT, limits)
    return torch_engine.open_model(directory, limits)


@dataclass(frozen=True)
class Footprint:
    """What serving a kind of model takes: bytes without weights, and the files of the weights."""

    base: int
    weights: tuple[str, ...]
    remedy: str


# Peak resident size of all processes, less the weights, as benchmarks/bench.py measures it.
PACKED = Footprint(120 * MEGABYTE, ("model.bin",), "")
CHECKPOINT = Footprint(
    360 * MEGABYTE, ("*.safetensors", "*.bin"), ", or pack it with pack-model, which takes a third"
)


def check_memory(directory: Path, footprint: Footprint, limits: Limits) -> None:
    """Raise ArtifactError if the model cannot fit, before the kernel kills the server for it."""
    weights = {path for pattern in footprint.weights for path in directory.glob(pattern)}
    needed = footprint.base + sum(path.stat().st_size for path in weights)
    if limits.memory is not None and needed > limits.memory:
        raise ArtifactError(
            f"the model needs about {needed // MEGABYTE:,} MB of memory and there are "
            f"{limits.memory // MEGABYTE:,}: {advice(needed)}{footprint.remedy}"
        )


def check_checkpoint(directory: Path) -> None:
    """Raise ArtifactError unless a sequence-classification checkpoint lies in the directory."""
    config = directory / "config.json"
    found = ", ".join(sorted(path.name for path in directory.iterdir())[:10]) or "nothing"
    if not config.exists():
        raise ArtifactError(
            f"{directory} holds no model: it needs {manifest.NAME} (a packed model) or config.json "
            f"with weights (a Hugging Face checkpoint) at its top level, found {found}"
        )
    try:
        architectures = json.loads(config.read_bytes()).get("architectures") or []
    except (OSError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{config} cannot be read as JSON: {error}") from error
    if not any("ForSequenceClassification" in name for name in architectures):
        raise ArtifactError(
            f"{config} describes {architectures or 'no architecture'}; only models for sequence "
            "classification can be served: fine-tune with AutoModelForSequenceClassification"
        )
    for what, names in (("weights", WEIGHTS), ("tokenizer", VOCABULARIES)):
        if not any((directory / name).exists() for name in names):
            raise ArtifactError(
                f"{directory} has a config.json but no {what}; it needs one of {', '.join(names)}, "
                f"found {found}"
            )
