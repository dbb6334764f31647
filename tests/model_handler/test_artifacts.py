"""What may lie in a model directory, and what is said of what may not."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from model_handler import Limits, ModelError, artifacts, limits
from tests.conftest import make_checkpoint


def edit_manifest(directory: Path, **changes: object) -> None:
    edit_json(directory / "manifest.json", **changes)


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flip_a_byte(directory: Path) -> None:
    path = directory / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip_a_byte, "model.onnx is damaged"),
        (lambda d: (d / "tokenizer.json").unlink(), "the model is incomplete"),
        (lambda d: (d / "manifest.json").write_text("{"), "not a manifest"),
        (lambda d: (d / "manifest.json").write_text("{}"), "not a manifest"),
        (lambda d: edit_manifest(d, format_version=99), "format version 99"),
        (lambda d: edit_manifest(d, files={"../x": {"size": 0, "sha256": ""}}), "outside its"),
        (lambda d: os.truncate(d / "model.bin", 4096), "model.bin is damaged: it has 4,096 bytes"),
        (lambda d: edit_manifest(d, probe_logits=[[9, 9, 9]]), "answers its probe text wrongly"),
    ],
)
def test_a_spoiled_packed_model_is_refused_with_the_reason(
    tmp_path: Path, packed: Path, spoil: Callable[[Path], object], message: str
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(packed, directory)
    spoil(directory)
    with pytest.raises(ModelError, match=message):
        artifacts.open_model(directory, Limits())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "config.json").unlink(), "holds no model.*found model.safetensors"),
        (lambda d: (d / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda d: (d / "config.json").write_text("{}"), "only models for sequence class"),
        (lambda d: (d / "model.safetensors").unlink(), "no weights"),
        (lambda d: (d / "model.safetensors").write_bytes(b"x" * 99), "transformers cannot open"),
        (lambda d: [p.unlink() for p in d.glob("tokenizer*")], "no tokenizer; it needs one of"),
    ],
)
def test_a_spoiled_checkpoint_is_refused_with_the_reason(
    tmp_path: Path, checkpoint: Path, spoil: Callable[[Path], object], message: str
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(checkpoint, directory)
    spoil(directory)
    with pytest.raises(ModelError, match=message):
        artifacts.open_model(directory, Limits())


class Bomb:
    """Unpickling one writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_code_in_pickled_weights_is_not_run(tmp_path: Path, checkpoint: Path) -> None:
    directory = tmp_path / "model"
    shutil.copytree(checkpoint, directory)
    (directory / "model.safetensors").unlink()
    trap = tmp_path / "trap"
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(ModelError, match="transformers cannot open"):
        artifacts.open_model(directory, Limits())
    assert not trap.exists()


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
def test_checkpoints_of_any_family_are_served(tmp_path: Path, architecture: str) -> None:
    model = artifacts.open_model(make_checkpoint(tmp_path / "model", architecture), Limits())
    assert model.name == "torch"
    assert model.labels == (-1, 0, 1)
    assert model.max_length == 128


@pytest.mark.parametrize(
    ("model_max_length", "truncation", "expected"),
    [(None, None, 128), (512, None, 128), (64, None, 64), (300, None, 300), (64, 200, 200)],
)
def test_texts_are_cut_where_the_model_says_or_else_at_128(
    tmp_path: Path,
    checkpoint: Path,
    model_max_length: int | None,
    truncation: int | None,
    expected: int,
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(checkpoint, directory)
    edit_json(directory / "tokenizer_config.json", model_max_length=model_max_length or int(1e30))
    cut = {"max_length": truncation, "stride": 0, "strategy": "LongestFirst", "direction": "Left"}
    edit_json(directory / "tokenizer.json", truncation=cut if truncation else None)
    model = artifacts.open_model(directory, Limits())
    assert model.max_length == expected
    assert len(model.tokenizer.encode("good " * 600).ids) == expected


def test_old_style_weights_are_served_alike(tmp_path: Path, checkpoint: Path) -> None:
    import numpy as np
    import torch
    from safetensors.torch import load_file

    directory = tmp_path / "model"
    shutil.copytree(checkpoint, directory)
    weights = load_file(directory / "model.safetensors")
    torch.save(weights, directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    ids = np.array([[0, 5, 6, 2]])
    old, new = (artifacts.open_model(d, Limits()).engine for d in (directory, checkpoint))
    assert np.allclose(old.logits(ids, np.ones_like(ids)), new.logits(ids, np.ones_like(ids)))


@pytest.mark.parametrize("folder", ["packed", "checkpoint"])
def test_a_model_that_cannot_fit_is_refused_with_the_size_that_would_do(
    folder: str, request: pytest.FixtureRequest
) -> None:
    directory: Path = request.getfixturevalue(folder)
    with pytest.raises(ModelError, match=r"needs about \d+ MB.*choose MemorySizeInMB 1024"):
        artifacts.open_model(directory, Limits(memory=50 * 1024 * 1024))


def test_what_no_serverless_endpoint_can_hold_is_sent_elsewhere() -> None:
    assert "instance endpoint" in limits.advice(7000 * 1024 * 1024)
    assert limits.advice(2000 * 1024 * 1024) == "choose MemorySizeInMB 2048"
