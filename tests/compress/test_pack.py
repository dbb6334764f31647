"""pack-model makes a directory and an archive of a checkpoint."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.models import architectures
from benchmarks.models.architectures import make
from compress import archive, probe
from compress.pack import main, pack
from model_handler import Limits, artifacts, resources


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert"])
def test_a_packed_model_answers_like_its_checkpoint(tmp_path: Path, architecture: str) -> None:
    checkpoint = architectures.make(architecture, tmp_path / "checkpoint")
    pack(checkpoint, tmp_path / "out", lambda _: None)
    expected = probe.logits(artifacts.open_model(checkpoint, Limits()))
    found = probe.logits(artifacts.open_model(tmp_path / "out", Limits()))
    assert np.abs(expected - found).max() <= probe.TOLERANCE


def test_a_packed_model_is_fused_and_quantised(packed: Path) -> None:
    import onnx

    graph = onnx.load(packed / "model.onnx").graph
    nodes = graph.node
    assert [each.name for each in graph.input] == ["input_ids", "attention_mask", "token_type_ids"]
    operators = {node.op_type for node in nodes}
    assert {"MultiHeadAttention", "FastGelu", "MatMulIntegerToFloat"} <= operators
    assert not operators & {"MatMul", "Attention", "Erf", "SkipLayerNormalization", "Softmax"}
    assert any("first_token" in node.output for node in nodes)  # the last layer computes no other


def test_the_command_writes_a_directory_and_an_archive_with_files_at_its_root(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, bundle = tmp_path / "out", tmp_path / "model.tar.gz"
    main([str(checkpoint), str(out), "--archive", str(bundle)])
    assert "MB, logits within" in capsys.readouterr().out
    with tarfile.open(bundle) as found:
        assert sorted(found.getnames()) == [
            "README.md",
            "manifest.json",
            "model.bin",
            "model.onnx",
            f"prepacked-{resources.cpu_kind()}.bin",
            f"prepacked-{resources.cpu_kind()}.onnx",
            "tokenizer.json",
        ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tar.gz", "out"]


def test_the_same_files_make_the_same_archive(tmp_path: Path, packed: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(packed, copy, copy_function=shutil.copy)  # with new times
    archive.write(packed, tmp_path / "a.tar.gz")
    archive.write(copy, tmp_path / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


def test_what_cannot_be_packed_is_refused_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = make("fnet", tmp_path / "fnet")
    with pytest.raises(SystemExit) as stop:
        main([str(checkpoint), str(tmp_path / "out")])
    assert stop.value.code == 1
    assert "pack-model: fnet cannot be packed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_wrong_folders_are_refused_in_one_line(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").touch()
    for arguments, message in (
        ([tmp_path / "none", tmp_path / "out"], "is not a directory"),
        ([full, tmp_path / "out"], "holds no model"),
        ([checkpoint, full], "not an empty directory"),
    ):
        with pytest.raises(SystemExit):
            main([str(argument) for argument in arguments])
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
