"""Make model directories with one fault each, from whole models."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.harness.subjects import DEFAULT_MODEL


def make(name: str, checkpoint: Path, directory: Path) -> None:
    """Write the directory that has a fault of FAULTS."""
    whole = {"packed": DEFAULT_MODEL, "checkpoint": checkpoint}.get(name.partition(": ")[0])
    if whole is None:
        directory.mkdir()
    else:
        shutil.copytree(whole, directory)
    file, spoil = FAULTS[name]
    spoil(directory / file)


def trap(directory: Path) -> Path:
    """Return the file that code which came with a model leaves, beside the directory."""
    return directory.with_name("trap")


class Bomb:
    """Unpickling one leaves a file."""

    def __init__(self, left: Path) -> None:
        self.left = left

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.left,)


def bomb(directory: Path) -> None:
    """Write weights of the old kind, pickled, with code in them."""
    import torch

    (directory / "model.safetensors").unlink()
    torch.save({"classifier.weight": Bomb(trap(directory))}, directory / "pytorch_model.bin")


def script(directory: Path, name: str) -> None:
    """Write a Python file that leaves a file when it is run or imported."""
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"from pathlib import Path\nPath({str(trap(directory))!r}).touch()\n")


def remote_code(directory: Path) -> None:
    """Ask for a kind of model that transformers does not know, and bring code for it."""
    script(directory, "own.py")
    own = {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"}
    edit(directory / "config.json", model_type="own", auto_map=own)
    edit(directory / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.T", "own.T"]})


def without_head(weights: Path) -> None:
    """Take the last layer off a fine-tuned model: what is left is a base model."""
    from safetensors.torch import load_file, save_file

    whole = load_file(weights)
    kept = {name: each for name, each in whole.items() if not name.startswith("classifier.")}
    save_file(kept, weights, {"format": "pt"})


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


def link_outside(path: Path) -> None:
    """Put a link to a file of the system in the place of a file."""
    path.unlink()
    path.symlink_to("/etc/passwd")


def put_pipe(path: Path) -> None:
    """Put a named pipe in the place of a file."""
    path.unlink()
    os.mkfifo(path)


def nest(path: Path) -> None:
    """Write JSON that is nested too deeply to be read."""
    path.write_text("[" * 100_000)


def cut(path: Path) -> None:
    """Keep the first half of a file."""
    os.truncate(path, path.stat().st_size // 2)


def lock(path: Path) -> None:
    """Let nobody read it."""
    path.chmod(0)


# The name of a fault, which begins with the kind of model that has it, if there is one; the file
# ("" is the directory itself); and what is done to it.
FAULTS: Mapping[str, tuple[str, Callable[[Path], object]]] = {
    "no directory": ("", Path.rmdir),
    "an empty directory": ("", lambda _: None),
    "an archive that was not unpacked": ("model.tar.gz", Path.touch),
    "a model one folder too deep": ("my-model", lambda path: shutil.copytree(DEFAULT_MODEL, path)),
    "a TensorFlow model": ("saved_model.pb", Path.touch),
    "a GGUF file": ("model.gguf", Path.touch),
    "packed: a file that nobody may read": ("model.bin", lock),
    "packed: a directory that nobody may read": ("", lock),
    "packed: weights cut short": ("model.bin", cut),
    "packed: a bit changed in the weights": ("model.bin", flip),
    "packed: a bit changed in the graph": ("model.onnx", flip),
    "packed: no tokenizer": ("tokenizer.json", Path.unlink),
    "packed: a manifest with too few labels": (
        "manifest.json",
        lambda path: edit(path, labels=[0, 1]),
    ),
    "packed: a manifest of 1 GB": ("manifest.json", lambda path: os.truncate(path, 10**9)),
    "packed: a manifest nested 100,000 times": ("manifest.json", nest),
    "packed: weights that are a link to /etc/passwd": ("model.bin", link_outside),
    "packed: a pipe in the place of the tokenizer": ("tokenizer.json", put_pipe),
    "packed: a script beside the model": ("", lambda folder: script(folder, "code/inference.py")),
    "checkpoint: config.json is a list": ("config.json", lambda path: path.write_text("[]")),
    "checkpoint: a model for another task": (
        "config.json",
        lambda path: edit(path, architectures=["BertForMaskedLM"]),
    ),
    "checkpoint: weights cut short": ("model.safetensors", cut),
    "checkpoint: weights of a base model": ("model.safetensors", without_head),
    "checkpoint: weights too large for the memory": (
        "model.safetensors",
        lambda path: os.truncate(path, 10**11),
    ),
    "checkpoint: code in pickled weights": ("", bomb),
    "checkpoint: code for a model of its own": ("", remote_code),
}
