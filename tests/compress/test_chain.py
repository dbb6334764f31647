"""A model carries the steps that it was made by, and each names what it was made from."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from compress import chain
from compress.pack import main, pack
from compress.source import Source


@pytest.fixture
def shrunk(tmp_path: Path, checkpoint: Path) -> Path:
    """Return a checkpoint that says it was shrunk from another one."""
    made = tmp_path / "shrunk"
    shutil.copytree(checkpoint, made)
    earlier = Source(checkpoint, "reviews-large")
    chain.write(made, [chain.step("shrink-model", earlier, {"layers": 6, "seed": 7}, None)])
    return made


def test_a_packed_model_has_all_steps_from_the_first_source_on(
    tmp_path: Path, shrunk: Path, checkpoint: Path
) -> None:
    pack(shrunk, tmp_path / "out", lambda _: None, portable_only=True)
    first, last = json.loads((tmp_path / "out" / "manifest.json").read_text())["chain"]
    assert (first["step"], last["step"]) == ("shrink-model", "pack-model")
    assert first["source"] == {"name": "reviews-large", "sha256": chain.sha256(checkpoint)}
    assert first["settings"] == {"layers": 6, "seed": 7}
    assert first["result"] == last["source"]["sha256"]
    assert last["source"]["name"] == "shrunk"
    assert last["settings"]["portable_only"] is True
    assert {"torch", "transformers", "onnxruntime"} <= set(last["tools"])
    assert last["scores"] is None


def test_the_hash_of_a_checkpoint_is_that_of_the_list_that_sha256sum_prints(
    checkpoint: Path,
) -> None:
    names = " ".join(path.name for path in chain.contents(checkpoint))
    command = f"LC_ALL=C sha256sum {names} | sha256sum"
    found = subprocess.run(
        command, shell=True, cwd=checkpoint, capture_output=True, text=True, check=True
    )
    assert found.stdout.split()[0] == chain.sha256(checkpoint)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(names.split())


def test_a_chain_that_tells_of_other_weights_is_refused(
    tmp_path: Path, shrunk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = shrunk / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"initializer_range": 0.5}))
    with pytest.raises(SystemExit) as stop:
        main([str(shrunk), str(tmp_path / "out")])
    assert stop.value.code == 1
    assert "chain.json tells how other weights were made" in capsys.readouterr().err
    (shrunk / "chain.json").write_text('{"steps": []}')
    with pytest.raises(SystemExit):
        main([str(shrunk), str(tmp_path / "out")])
    assert "chain.json is not one of shrink-model" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
