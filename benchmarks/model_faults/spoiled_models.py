"""Whole models in, directories with one fault each out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.servers import ROOT

PACKED = ROOT / "models" / "clothing-sentiment"
LABELS = {0: "-1", 1: "0", 2: "1"}


@dataclass(frozen=True)
class Fault:
    """One way in which a model directory can be wrong: a whole model, and what is done to it.

    `locked`: the server must not be root in the way that lets root read everything.
    """

    what: str
    base: str
    spoil: Callable[[Path, Path], object]  # the directory, and a file that code would leave
    locked: bool = False


def make(fault: Fault, checkpoint: Path, directory: Path, trap: Path) -> None:
    """Write the faulty directory."""
    if fault.base == "none":
        directory.mkdir()
    else:
        shutil.copytree(PACKED if fault.base == "packed" else checkpoint, directory)
    fault.spoil(directory, trap)


def make_checkpoint(directory: Path) -> None:
    """A whole checkpoint of one small layer, as save_pretrained writes it."""
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertForSequenceClassification

    words = Tokenizer.from_file(str(PACKED / "tokenizer.json")).get_vocab_size()
    config = BertConfig(
        vocab_size=words,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        id2label=LABELS,
    )
    BertForSequenceClassification(config).save_pretrained(directory)
    shutil.copy(PACKED / "tokenizer.json", directory)
    own = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}
    (directory / "tokenizer_config.json").write_text(json.dumps(own))


class Bomb:
    """Unpickling one writes a file."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trap,)


def bomb(directory: Path, trap: Path) -> None:
    """Weights of the old kind, pickled, with code in them."""
    import torch

    (directory / "model.safetensors").unlink()
    torch.save({"classifier.weight": Bomb(trap)}, directory / "pytorch_model.bin")


def script(path: Path, trap: Path) -> None:
    """A Python file that writes a file when it is run or imported."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"from pathlib import Path\nPath({str(trap)!r}).touch()\n")


def remote_code(directory: Path, trap: Path) -> None:
    """A kind of model that transformers does not know, and code for it."""
    script(directory / "own.py", trap)
    own = {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"}
    edit(directory / "config.json", model_type="own", auto_map=own)
    edit(directory / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.T", "own.T"]})


def without_head(directory: Path) -> None:
    """What is left of a fine-tuned model without its last layer: a base model."""
    from safetensors.torch import load_file, save_file

    weights = load_file(directory / "model.safetensors")
    kept = {name: each for name, each in weights.items() if not name.startswith("classifier.")}
    save_file(kept, directory / "model.safetensors", {"format": "pt"})


def nest(directory: Path) -> None:
    """The archive was made of the folder, not of what is in it."""
    shutil.copytree(PACKED, directory / "my-model")


def edit(path: Path, **changes: object) -> None:
    """Change some fields of a JSON object."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flip(path: Path) -> None:
    """Change one bit in the middle of a file; its size stays."""
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))


def replace(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else in the place of a file."""
    path.unlink()
    make(path)


def cut(path: Path) -> None:
    """Keep the first half of a file."""
    os.truncate(path, path.stat().st_size // 2)


FAULTS = [
    Fault("no directory", "none", lambda d, _: d.rmdir()),
    Fault("an empty directory", "none", lambda *_: None),
    Fault("an archive that was not unpacked", "none", lambda d, _: (d / "model.tar.gz").touch()),
    Fault("a model one folder too deep", "none", lambda d, _: nest(d)),
    Fault("a TensorFlow model", "none", lambda d, _: (d / "saved_model.pb").touch()),
    Fault("a GGUF file", "none", lambda d, _: (d / "model.gguf").touch()),
    Fault("a file that nobody may read", "packed", lambda d, _: (d / "model.bin").chmod(0), True),
    Fault("a directory that nobody may read", "packed", lambda d, _: d.chmod(0), True),
    Fault("weights cut short", "packed", lambda d, _: cut(d / "model.bin")),
    Fault("a bit changed in the weights", "packed", lambda d, _: flip(d / "model.bin")),
    Fault("a bit changed in the graph", "packed", lambda d, _: flip(d / "model.onnx")),
    Fault("no tokenizer", "packed", lambda d, _: (d / "tokenizer.json").unlink()),
    Fault(
        "a manifest with too few labels",
        "packed",
        lambda d, _: edit(d / "manifest.json", labels=[0, 1]),
    ),
    Fault(
        "a manifest of 1 GB", "packed", lambda d, _: os.truncate(d / "manifest.json", 1_000_000_000)
    ),
    Fault(
        "a manifest nested 100,000 times",
        "packed",
        lambda d, _: (d / "manifest.json").write_text("[" * 100_000),
    ),
    Fault(
        "weights that are a link to /etc/passwd",
        "packed",
        lambda d, _: replace(d / "model.bin", lambda path: path.symlink_to("/etc/passwd")),
    ),
    Fault(
        "a pipe in the place of the tokenizer",
        "packed",
        lambda d, _: replace(d / "tokenizer.json", os.mkfifo),
    ),
    Fault(
        "a script beside the model",
        "packed",
        lambda d, trap: script(d / "code" / "inference.py", trap),
    ),
    Fault("config.json is a list", "checkpoint", lambda d, _: (d / "config.json").write_text("[]")),
    Fault(
        "a model for another task",
        "checkpoint",
        lambda d, _: edit(d / "config.json", architectures=["BertForMaskedLM"]),
    ),
    Fault("weights cut short", "checkpoint", lambda d, _: cut(d / "model.safetensors")),
    Fault("weights of a base model", "checkpoint", lambda d, _: without_head(d)),
    Fault(
        "weights too large for the memory",
        "checkpoint",
        lambda d, _: os.truncate(d / "model.safetensors", 100_000_000_000),
    ),
    Fault("code in pickled weights", "checkpoint", bomb),
    Fault("code for a model of its own", "checkpoint", remote_code),
]
