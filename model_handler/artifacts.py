"""A model directory in, the engine that fits what lies there out."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_handler import jsonfile, manifest
from model_handler.engines import Model
from model_handler.errors import ArtifactError
from model_handler.limits import MEGABYTE, Limits, advice

log = logging.getLogger(__name__)

# Where SageMaker unpacks model.tar.gz:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
PLATFORM_DIR = Path("/opt/ml/model")
CONFIG = "config.json"
SHARDS = "model.safetensors.index.json"
WEIGHTS = ("model.safetensors", SHARDS, "pytorch_model.bin")
# Without one of these transformers makes up an empty vocabulary, and every answer is wrong.
VOCABULARIES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
)
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_HERE = Path(__file__).resolve().parent


def default_dir() -> Path:
    """/opt/ml/model if there is one, whatever lies there, else the bundled model."""
    if PLATFORM_DIR.exists():
        return PLATFORM_DIR
    installed = _HERE / "bundled"
    return installed if installed.exists() else _HERE.parent / "models" / "clothing-sentiment"


def open_model(directory: Path, limits: Limits, runs_code: bool = False) -> Model:
    """Open a model directory with the engine that fits; raises ModelError with the reason.

    Code in it is not run here; unless the caller runs it, a warning says how to ask for that.
    """
    paths = entries(directory)
    code = [path.name for path in paths if path.suffix == ".py" or path.name == "code"]
    if code and not runs_code:
        log.warning(
            "%s: not run; SAGEMAKER_PROGRAM=inference.py runs code/inference.py", ", ".join(code)
        )
    if (directory / manifest.NAME).exists():
        from model_handler.engines import onnx_engine

        check_memory(directory, PACKED, limits)
        return onnx_engine.open_model(directory, limits)
    check_checkpoint(directory, paths)
    from model_handler.engines import torch_engine

    check_memory(directory, CHECKPOINT, limits)
    return torch_engine.open_model(directory, limits)


def entries(directory: Path) -> list[Path]:
    """What lies in a model directory; raises ArtifactError unless each file can be opened safely.

    Folders in it are left alone, since nothing in them is read.
    """
    try:
        paths = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(
            f"{directory} is not a directory; set MODEL_DIR to one with a model"
        ) from error
    except OSError as error:
        raise ArtifactError(f"{directory} cannot be read: {error.strerror}") from error
    inside = os.path.realpath(directory)
    for path in paths:
        try:
            _check_entry(path, inside)
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
    return paths


def _check_entry(path: Path, inside: str) -> None:
    # Whoever made the archive must not choose what else this process reads.
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
        raise ArtifactError(
            f"{path} is a link that leads out of the model directory: put the file in its place "
            "(tar --dereference, cp --dereference)"
        )
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode) and path.name not in (manifest.NAME, CONFIG, *WEIGHTS, *VOCABULARIES):
        return
    # A pipe would be waited for, for ever.
    if not stat.S_ISREG(mode):
        raise ArtifactError(f"{path} is not a file, but a folder, a pipe or a device")
    if not os.access(path, os.R_OK):
        raise ArtifactError(f"{path} cannot be read by this user; chmod a+rX the model's files")


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


def check_checkpoint(directory: Path, paths: Sequence[Path]) -> None:
    """Raise ArtifactError unless a sequence-classification checkpoint lies in the directory."""
    names = [path.name for path in paths]
    found = ", ".join(names[:10]) or "nothing"
    if CONFIG not in names:
        raise ArtifactError(
            f"{directory} holds no model: it needs {manifest.NAME} (a packed model) or {CONFIG} "
            f"with weights (a Hugging Face checkpoint) at its top level, found {found}"
            + _hint(paths)
        )
    config = jsonfile.read(directory / CONFIG)
    architectures = str(config.get("architectures") or "no architecture")
    if "ForSequenceClassification" not in architectures:
        raise ArtifactError(
            f"{directory / CONFIG} describes {architectures[:200]}; only models for sequence "
            "classification can be served: fine-tune with AutoModelForSequenceClassification"
        )
    for what, wanted in (("weights", WEIGHTS), ("tokenizer", VOCABULARIES)):
        if not set(wanted) & set(names):
            raise ArtifactError(
                f"{directory} has a {CONFIG} but no {what}; it needs one of {', '.join(wanted)}, "
                f"found {found}"
            )
    if SHARDS in names:
        shards = jsonfile.read(directory / SHARDS).get("weight_map")
        wrong = set(shards.values()) - set(names) if isinstance(shards, dict) else {"no weights"}
        if wrong:
            raise ArtifactError(f"{directory / SHARDS} names {min(wrong)}, which is not beside it")


def _hint(paths: Sequence[Path]) -> str:
    """Where the model may be instead, if what was found tells."""
    for path in paths:
        name = path.name
        if name.endswith(ARCHIVES):
            return (
                f"; {name} was not unpacked: name it in ModelDataUrl, or in ModelDataSource with "
                "CompressionType Gzip"
            )
        if any(os.access(path / file, os.R_OK) for file in (manifest.NAME, *WEIGHTS)):
            return (
                f"; a model lies in {name}/, one level too deep: make the archive of what is in "
                f"that folder (tar -C {name} -czf model.tar.gz .)"
            )
    return ""
