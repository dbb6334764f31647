"""Open a model directory with the engine that fits its files, or say what is wrong with it."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from model_handler import jsonfile, manifest
from model_handler.engines import Model, Options
from model_handler.errors import ArtifactError
from model_handler.outputs import ProblemType
from model_handler.resources import Limits
from model_handler.tokens import Pairs
from platform_facts import MODEL_DIR

log = logging.getLogger(__name__)

PLATFORM_DIR = Path(MODEL_DIR)
CONFIG = "config.json"
SHARDS = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WEIGHTS = ("model.safetensors", "pytorch_model.bin", *SHARDS)
# Without one of these transformers makes up an empty vocabulary, and every answer is wrong.
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt")
# What transformers 5 makes of these lacks their normalisation, and in some families <s> and </s>.
SENTENCEPIECE = (
    "spiece.model",
    "spm.model",
    "sentencepiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
# What may be there in the place of a checkpoint, and what to do about it.
FOREIGN = (
    (
        "adapter_config.json",
        "is a LoRA adapter, which changes another model: merge the two with peft "
        "(merge_and_unload), save the result with save_pretrained, and serve or pack that",
    ),
    ("*.gguf", "is made for llama.cpp: use the Hugging Face checkpoint that it was made from"),
    (
        "*.onnx",
        f"is an ONNX export without the {manifest.NAME} of pack-model, so its labels, length and "
        "right answers are not known: pack the checkpoint that it was made from",
    ),
    (
        "tf_model.h5",
        "is for TensorFlow: save it for PyTorch with transformers 4 "
        "(from_pretrained(..., from_tf=True).save_pretrained)",
    ),
    (
        "flax_model.msgpack",
        "is for Flax: save it for PyTorch with transformers 4 "
        "(from_pretrained(..., from_flax=True).save_pretrained)",
    ),
    (
        "modules.json",
        "is a model of sentence-transformers, which gives embeddings, not labels: fine-tune it "
        "with AutoModelForSequenceClassification",
    ),
)
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_HERE = Path(__file__).resolve().parent


def default_dir() -> Path:
    """Return /opt/ml/model if it exists, whatever is in it, else the bundled model."""
    if PLATFORM_DIR.exists():
        return PLATFORM_DIR
    installed = _HERE / "bundled"
    return installed if installed.exists() else _HERE.parent / "models" / "clothing-sentiment"


def open_model(directory: Path, limits: Limits, options: Options | None = None) -> Model:
    """Open a model directory with the engine that fits; raises ModelError with the reason.

    Code in it is not run here; unless the caller runs it, a warning says how to ask for that.
    """
    from model_handler import memory

    options = options or Options()
    paths = entries(directory)
    code = [path.name for path in paths if path.suffix == ".py" or path.name == "code"]
    if code and not options.runs_code:
        log.warning(
            "%s: not run; SAGEMAKER_PROGRAM=inference.py runs code/inference.py", ", ".join(code)
        )
    if (directory / manifest.NAME).exists():
        from model_handler.engines import onnx_engine

        memory.check(directory, memory.PACKED, limits)
        model = onnx_engine.open_model(directory, limits)
        _warn_of_unused(options, model)
        return model
    check_checkpoint(directory, paths)
    from model_handler.engines import torch_engine

    memory.check(directory, memory.CHECKPOINT, limits)
    return torch_engine.open_model(directory, limits, options)


def _warn_of_unused(options: Options, model: Model) -> None:
    """Warn of options that a packed model does not use: its manifest is what was checked."""
    if options.max_length not in (None, model.max_length):
        log.warning(
            "MAX_LENGTH=%d is not used: the manifest of this packed model says %d tokens; pack it "
            "again with --max-length",
            options.max_length,
            model.max_length,
        )
    if options.pairs is Pairs.FEATURES and model.pairs is not Pairs.FEATURES:
        log.warning(
            "TEXT_PAIRS=1 is not used: the manifest of this packed model says otherwise; pack it "
            "again with --pairs"
        )


def entries(directory: Path) -> list[Path]:
    """List a model directory; raises ArtifactError unless each file can be opened safely.

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


def check_checkpoint(directory: Path, paths: Sequence[Path]) -> None:
    """Raise ArtifactError unless a sequence-classification checkpoint is in the directory."""
    names = [path.name for path in paths]
    found = ", ".join(names[:10]) or "nothing"
    if "adapter_config.json" in names:  # transformers would look elsewhere for what it changes
        raise ArtifactError(f"{directory} holds no whole model" + _hint(paths))
    if CONFIG not in names:
        raise ArtifactError(
            f"{directory} holds no model: it needs {manifest.NAME} (a packed model) or {CONFIG} "
            f"with weights (a Hugging Face checkpoint) at its top level, found {found}"
            + _hint(paths)
        )
    _check_config(directory / CONFIG, paths)
    if not set(WEIGHTS) & set(names):
        raise ArtifactError(
            f"{directory} has a {CONFIG} but no weights; it needs one of {', '.join(WEIGHTS)}, "
            f"found {found}" + _hint(paths)
        )
    _check_tokenizer(directory, names)
    for shards in set(SHARDS) & set(names):
        files = jsonfile.read(directory / shards).get("weight_map")
        wrong = set(files.values()) - set(names) if isinstance(files, dict) else {"no weights"}
        if wrong:
            raise ArtifactError(f"{directory / shards} names {min(wrong)}, which is not beside it")


def _check_config(path: Path, paths: Sequence[Path]) -> None:
    """Raise ArtifactError unless config.json describes what can be served."""
    config = jsonfile.read(path)
    architectures = str(config.get("architectures") or "no architecture")
    if "ForSequenceClassification" not in architectures:
        raise ArtifactError(
            f"{path} describes {architectures[:200]}; only models for sequence "
            "classification can be served: fine-tune with AutoModelForSequenceClassification"
            + _hint(paths)
        )
    quantised = config.get("quantization_config") or config.get("compression_config")
    if quantised:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else None
        raise ArtifactError(
            f"{path} describes quantised weights ({method or 'of an unknown kind'}), which are not "
            "served: use the checkpoint that they were made from; pack-model makes 8-bit weights"
        )
    task = config.get("problem_type")
    if task is not None and task not in list(ProblemType):
        raise ArtifactError(
            f"{path} has the problem_type {str(task)[:100]!r}; it must be one of "
            f"{', '.join(ProblemType)}"
        )
    names = config.get("id2label")
    alone = len(names) == 1 if isinstance(names, dict) else config.get("num_labels") == 1
    if alone and task == ProblemType.ONE_LABEL:
        raise ArtifactError(
            f"{path} has the problem_type {task} and one label, which would have the probability "
            f"1.0 for every text: set it to {ProblemType.VALUES}, or to "
            f"{ProblemType.SEVERAL_LABELS} for a probability by sigmoid"
        )


def _check_tokenizer(directory: Path, names: Sequence[str]) -> None:
    """Raise ArtifactError unless there is a tokenizer that is read as it was trained."""
    if "tokenizer.json" in names:
        return
    found = next((name for name in SENTENCEPIECE if name in names), None)
    if found is not None:
        raise ArtifactError(
            f"{directory} has {found} but no tokenizer.json; make one with the transformers it was "
            "trained with (pip install 'transformers<5' sentencepiece): "
            f"AutoTokenizer.from_pretrained({directory.name!r}).save_pretrained({directory.name!r})"
        )
    if not set(VOCABULARIES) & set(names):
        raise ArtifactError(
            f"{directory} has a {CONFIG} but no tokenizer; it needs one of "
            f"{', '.join(VOCABULARIES)}, found {', '.join(names[:10])}"
        )
    if "vocab.txt" not in names and "merges.txt" not in names:
        raise ArtifactError(f"{directory} has vocab.json but no merges.txt, which belongs to it")


def _hint(paths: Sequence[Path]) -> str:
    """Say what is there instead of a model, or where one may be; "" if nothing shows it."""
    for pattern, meaning in FOREIGN:
        path = next((path for path in paths if path.match(pattern)), None)
        if path is not None:
            return f"; {path.name} {meaning}"
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
