"""Model directories of all kinds are opened, or refused with the reason."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from benchmarks.models import architectures
from model_handler import Handler, Limits, ModelError, State, artifacts, memory, tokens
from model_handler.tokens import Row


def edit_manifest(directory: Path, **changes: object) -> None:
    edit_json(directory / "manifest.json", **changes)


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flip_a_byte(directory: Path) -> None:
    path = directory / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link_out(path: Path) -> None:
    path.rename(path.parent.parent / path.name)
    path.symlink_to(path.parent.parent / path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def edit_weights(directory: Path, rows: int | None) -> None:
    """Leave the last layer out, or give it another number of labels."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(directory / "model.safetensors")
    last = weights.pop("classifier.weight")
    if rows:
        weights["classifier.weight"] = torch.zeros(rows, last.shape[1])
    save_file(weights, directory / "model.safetensors", {"format": "pt"})


def shards(directory: Path, name: str) -> None:
    (directory / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"classifier.weight": name}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


OUTSIDE = {"../x": {"size": 0, "sha256": ""}}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip_a_byte, "model.onnx is damaged"),
        (lambda d: (d / "tokenizer.json").unlink(), "the model is incomplete"),
        (lambda d: (d / "manifest.json").write_text("{"), "cannot be read as JSON"),
        (lambda d: (d / "manifest.json").write_text("[" * 100_000), "nested too deeply"),
        (lambda d: (d / "manifest.json").write_text("[]"), "no JSON object, but a list"),
        (lambda d: os.truncate(d / "manifest.json", 10**9), "1,000,000,000 bytes; no more than"),
        (lambda d: (d / "manifest.json").write_text("{}"), "not a manifest"),
        (lambda d: edit_manifest(d, format_version=99), "format version 99"),
        (lambda d: edit_manifest(d, files=OUTSIDE, graph="../x"), "names a file outside its"),
        (lambda d: edit_manifest(d, graph="../x"), "graph ../x is not among its files"),
        (lambda d: edit_manifest(d, labels=[0, 1]), "2 labels, its probes have more or fewer"),
        (lambda d: link_out(d / "model.bin"), "model.bin is a link that leads out of"),
        (lambda d: link_out(d / "manifest.json"), "manifest.json is a link that leads out of"),
        (
            lambda d: pipe(d / "tokenizer.json"),
            "tokenizer.json is not a file, but a folder, a pipe",
        ),
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
        Handler(directory).load()


@pytest.mark.parametrize("text", ["fine", "the zip broke and nobody answers " * 9])
def test_a_prediction_that_waits_for_the_load_shows_a_wrong_model(
    tmp_path: Path, packed: Path, text: str
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(packed, directory)
    edit_manifest(directory, probe_logits=[[9, 9, 9]])
    handler = Handler(directory)
    for _ in range(2):
        with pytest.raises(ModelError, match="answers its probe text wrongly"):
            handler.predict([text])
    end = time.monotonic() + 30
    while handler.status.state is not State.FAILED and time.monotonic() < end:
        time.sleep(0.01)
    assert handler.status.state is State.FAILED


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "config.json").unlink(), "holds no model.*found model.safetensors"),
        (lambda d: (d / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda d: (d / "config.json").write_text("{}"), "only models for sequence class"),
        (lambda d: (d / "config.json").write_text("[" * 100_000), "nested too deeply"),
        (lambda d: (d / "config.json").write_text("[]"), "no JSON object, but a list"),
        (lambda d: edit_json(d / "config.json", architectures=5), "describes 5; only models for"),
        (lambda d: edit_json(d / "config.json", id2label={"1": "a", "9": "b"}), "keys 0 to n-1"),
        (lambda d: link_out(d / "config.json"), "config.json is a link that leads out of"),
        (lambda d: pipe(d / "config.json"), "config.json is not a file"),
        (lambda d: folder(d / "model.safetensors"), "model.safetensors is not a file"),
        (lambda d: (d / "model.safetensors").unlink(), "no weights"),
        (lambda d: (d / "model.safetensors").write_bytes(b"x" * 99), "transformers cannot open"),
        (lambda d: os.truncate(d / "model.safetensors", 9999), "weights are damaged or cut short"),
        (lambda d: edit_weights(d, None), "no fine-tuned model: .* classifier.weight"),
        (lambda d: edit_weights(d, 5), "another shape, .*classifier.weight"),
        (lambda d: shards(d, "../x.safetensors"), "names ../x.safetensors, which is not beside it"),
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


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no model: .* found nothing$"),
        (["model.gguf"], "model.gguf is made for llama.cpp: use the Hugging Face checkpoint"),
        (["saved_model.pb", "variables/variables.index"], "found saved_model.pb, variables$"),
        (["model.pth", "code/config.json"], "found code, model.pth$"),
        (["model.tar.gz"], "model.tar.gz was not unpacked: name it in ModelDataUrl"),
        (["mine/manifest.json"], "a model lies in mine/, one level too deep: .*tar -C mine"),
        (["out/config.json", "out/model.safetensors"], "a model lies in out/, one level too deep"),
    ],
)
def test_what_lies_in_the_place_of_a_model_is_named(
    tmp_path: Path, names: list[str], message: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=message):
        artifacts.open_model(tmp_path, Limits())


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").touch()
    with pytest.raises(ModelError, match=r"model\.tar\.gz is not a directory; set"):
        artifacts.open_model(tmp_path / "model.tar.gz", Limits())


@contextmanager
def nobody() -> Iterator[None]:
    """Not root, as on a serverless endpoint; for whoever is not root anyway, nothing."""
    root = os.getuid() == 0
    if root:
        os.setresuid(993, 993, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


@pytest.mark.parametrize(
    ("locked", "message"),
    [
        ("model/config.json", "config.json cannot be read by this user; chmod"),
        ("model", "model cannot be read: Permission denied"),
        (".", "model cannot be read: Permission denied"),
    ],
)
def test_what_the_user_may_not_read_is_named(locked: str, message: str) -> None:
    with TemporaryDirectory() as name:  # pytest's own folders are root's alone
        directory = Path(name) / "model"
        directory.mkdir()
        (directory / "config.json").write_text("{}")
        Path(name).chmod(0o755)
        (Path(name) / locked).chmod(0)
        with nobody(), pytest.raises(ModelError, match=message):
            artifacts.open_model(directory, Limits())
        (Path(name) / locked).chmod(0o700)


def test_links_within_the_directory_and_to_it_are_followed(tmp_path: Path, packed: Path) -> None:
    directory = tmp_path / "model"
    shutil.copytree(packed, directory)
    (directory / "model.bin").rename(directory / "blob")
    (directory / "model.bin").symlink_to("blob")
    (tmp_path / "link").symlink_to(directory)
    assert artifacts.open_model(tmp_path / "link", Limits()).name == "onnxruntime"


def test_whatever_the_platform_has_unpacked_is_preferred_to_the_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "PLATFORM_DIR", tmp_path)
    assert artifacts.default_dir() == tmp_path
    monkeypatch.setattr(artifacts, "PLATFORM_DIR", tmp_path / "none")
    assert (artifacts.default_dir() / "manifest.json").exists()


def plant(directory: Path, name: str, trap: Path) -> None:
    """Write a Python file that leaves a trace when it is run or imported."""
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).write_text(f"import pathlib\npathlib.Path({str(trap)!r}).touch()\n")


def test_a_script_in_the_archive_is_not_run_and_the_log_says_so(
    tmp_path: Path, packed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(packed, directory)
    plant(directory, "code/inference.py", tmp_path / "trap")
    artifacts.open_model(directory, Limits())
    assert "code: not run; SAGEMAKER_PROGRAM=inference.py runs code/inference.py" in caplog.text
    assert not (tmp_path / "trap").exists()


def test_code_that_a_checkpoint_brings_along_is_not_run(
    tmp_path: Path, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(checkpoint, directory)
    plant(directory, "own.py", tmp_path / "trap")
    own = {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"}
    edit_json(directory / "config.json", auto_map=own)
    edit_json(directory / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.T", "own.T"]})
    # A kind of model that transformers knows is opened with its own code,
    assert artifacts.open_model(directory, Limits()).labels == (-1, 0, 1)
    assert "own.py: not run" in caplog.text
    # and one that it does not know is refused.
    edit_json(directory / "config.json", model_type="own")
    with pytest.raises(ModelError, match=r"needs Python code of its own \(auto_map\)"):
        artifacts.open_model(directory, Limits())
    assert not (tmp_path / "trap").exists()


class Bomb:
    """Unpickling one writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_code_in_pickled_weights_is_not_run(tmp_path: Path, checkpoint: Path) -> None:
    import torch

    directory = tmp_path / "model"
    shutil.copytree(checkpoint, directory)
    (directory / "model.safetensors").unlink()
    trap = tmp_path / "trap"
    torch.save({"classifier.weight": Bomb(trap)}, directory / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled weights hold more than tensors"):
        artifacts.open_model(directory, Limits())
    assert not trap.exists()
    torch.load(directory / "pytorch_model.bin", weights_only=False)
    assert trap.exists()  # so it would have shown


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
def test_checkpoints_of_any_family_are_served(tmp_path: Path, architecture: str) -> None:
    model = artifacts.open_model(architectures.make(architecture, tmp_path / "model"), Limits())
    assert model.name == "torch"
    assert model.labels == (-1, 0, 1)
    assert model.max_length == 512


@pytest.mark.parametrize(
    ("model_max_length", "truncation", "expected"),
    [(None, None, 512), (512, None, 512), (64, None, 64), (300, None, 300), (64, 200, 200)],
)
def test_texts_are_cut_where_the_tokenizer_says_or_else_where_the_model_ends(
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
    from array import array

    import numpy as np
    import torch
    from safetensors.torch import load_file

    directory = tmp_path / "model"
    shutil.copytree(checkpoint, directory)
    weights = load_file(directory / "model.safetensors")
    torch.save(weights, directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    batch = tokens.pad([Row(array("i", [0, 5, 6, 2]))], 1)
    old, new = (artifacts.open_model(d, Limits()).engine for d in (directory, checkpoint))
    assert np.allclose(old.logits(batch), new.logits(batch))


@pytest.mark.parametrize("folder", ["packed", "checkpoint"])
def test_a_model_that_cannot_fit_is_refused_with_the_size_that_would_do(
    folder: str, request: pytest.FixtureRequest
) -> None:
    directory: Path = request.getfixturevalue(folder)
    with pytest.raises(ModelError, match=r"needs about \d+ MB.*choose MemorySizeInMB 1024"):
        artifacts.open_model(directory, Limits(memory=50 * 1024 * 1024))


def test_what_no_serverless_endpoint_can_hold_is_sent_elsewhere() -> None:
    assert "instance endpoint" in memory.advice(7000 * 1024 * 1024)
    assert memory.advice(2000 * 1024 * 1024) == "choose MemorySizeInMB 2048"
