"""Weights in the layout of this CPU are used if they are right, and left alone if they are not."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.pack import main as pack_model
from model_handler import Handler, Prediction, State, manifest, resources
from tests.conftest import BUNDLED, labelled

TEXTS = ["I love this product!", "not good", "it broke"]


@pytest.fixture
def model(tmp_path: Path, packed: Path) -> Path:
    """Return a copy of the tiny packed model that a test may damage."""
    return Path(shutil.copytree(packed, tmp_path / "model"))


def settled(directory: Path) -> tuple[Handler, list[Prediction]]:
    """Return a handler that has finished loading, and its predictions from then on."""
    handler = Handler(directory)
    handler.predict(TEXTS)
    for thread in threading.enumerate():
        if thread.name == "settle-model":
            thread.join()
    return handler, [] if handler.status.state is State.FAILED else labelled(handler, *TEXTS)


def edit(directory: Path, change: Callable[[manifest.Prepacked], manifest.Prepacked]) -> None:
    """Change the entry of the pre-packed weights."""
    found = manifest.read(directory)
    found._replace(prepacked=tuple(map(change, found.prepacked))).write(directory)


def weights(directory: Path) -> Path:
    (found,) = directory.glob("prepacked-*.bin")
    return found


def flip(path: Path) -> None:
    """Turn one byte in eight around, so that whatever is read is wrong; the size stays."""
    content = bytearray(path.read_bytes())
    content[::8] = bytes(byte ^ 0xFF for byte in content[::8])
    path.write_bytes(content)


def spoil_and_sign(directory: Path) -> None:
    """Spoiled weights whose hash is right, as a faulty tool would write them."""
    path = weights(directory)
    flip(path)
    edit(directory, lambda p: p._replace(files={**p.files, **manifest.describe(path)}))


def test_right_ones_are_mapped(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    handler, _ = settled(model)
    assert handler.status.state is State.READY
    assert caplog.messages == []
    if sys.platform == "linux":
        maps = Path("/proc/self/maps").read_text()
        assert str(weights(model)) in maps
        assert str(model / "model.bin") not in maps


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda d: flip(weights(d)), "is damaged"),
        (lambda d: os.truncate(weights(d), 100), "it has 100 bytes"),
        (lambda d: weights(d).unlink(), "cannot be read"),
        (spoil_and_sign, "onnxruntime cannot (open|run)|logits are off"),
        (lambda d: edit(d, lambda p: p._replace(cpu="pdp-11")), "there are some for pdp-11 with"),
        (lambda d: edit(d, lambda p: p._replace(onnxruntime="1.0")), "with onnxruntime 1.0"),
    ],
)
def test_wrong_ones_are_left_for_the_portable_graph(
    model: Path,
    packed: Path,
    spoil: Callable[[Path], object],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, expected = settled(packed)
    spoil(model)
    handler, found = settled(model)
    assert handler.status.state is State.READY
    assert [p.predicted_label for p in found] == [p.predicted_label for p in expected]
    assert [p.probability for p in found] == pytest.approx(
        [p.probability for p in expected], abs=1e-4
    )
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.getMessage().startswith("pre-packed weights are not used")
    assert re.search(reason, record.getMessage())


def test_they_can_be_added_for_another_cpu(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(model, lambda p: p._replace(cpu="pdp-11"))
    pack_model(["--prepack-only", str(model)])
    assert f"weights for {resources.cpu_kind()} added" in capsys.readouterr().out
    kinds = [found.cpu for found in manifest.read(model).prepacked]
    assert kinds == ["pdp-11", resources.cpu_kind()]
    assert not [path for path in model.iterdir() if path.name.startswith(".")]
    pack_model(["--prepack-only", str(model)])  # again: in the place of the first
    assert len(manifest.read(model).prepacked) == 2


def test_none_are_added_to_what_is_not_whole(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads((model / "manifest.json").read_text())
    flip(model / "model.bin")
    with pytest.raises(SystemExit):
        pack_model(["--prepack-only", str(model)])
    assert "model.bin is damaged" in capsys.readouterr().err
    assert json.loads((model / "manifest.json").read_text()) == before


def test_weights_that_are_not_whole_fail_the_model_once_they_are_hashed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "SMALL", 1024)  # these weights are large, then
    path = model / "model.bin"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # too little for the probe to notice
    path.write_bytes(content)
    handler, _ = settled(model)
    assert handler.status.state is State.FAILED
    assert "model.bin is damaged: its sha256" in str(handler.status.failure)


@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="needs Debian's qemu-user")
@pytest.mark.parametrize("directory", [BUNDLED, None], ids=["bundled", "tiny"])
def test_the_portable_graph_is_right_on_a_cpu_without_vnni(
    directory: Path | None, packed: Path
) -> None:
    """Haswell multiplies 8-bit numbers into 16-bit sums, which 8-bit weights would overflow."""
    code = """
import sys, numpy
from pathlib import Path
from model_handler import Limits, manifest, resources, tokens
from model_handler.engines import onnx_engine, packed_tokenizer
directory = Path(sys.argv[1])
found = manifest.read(directory)
resources.configure_libraries(1)
tokenizer = packed_tokenizer.open_whole(directory, found)
session = onnx_engine.open_session(directory / found.graph, Limits())
for row, logits in zip(tokens.encode(tokenizer, found.probe_texts), found.probe_logits):
    drift = numpy.abs(onnx_engine.run(session, tokens.pad([row], found.pad_id))[0] - logits).max()
    assert drift <= found.tolerance, (len(row), drift)
"""
    interpreter = Path(sys.executable).resolve()
    subprocess.run(
        ["qemu-x86_64", "-cpu", "Haswell", interpreter, "-c", code, directory or packed],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_CORETYPE": "HASWELL"},
        check=True,
        timeout=300,
    )
