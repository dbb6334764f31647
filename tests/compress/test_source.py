"""pack-model finds the checkpoint it is given, and says what it needs to be installed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from compress import adapter, probe
from compress.pack import main
from model_handler import Limits, artifacts
from model_handler.errors import ArtifactError
from model_handler.tokens import Batch
from tests.conftest import ROOT
from tests.interpreter import run_without

COMMIT = "0123456789" * 4


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compress.pack", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.fixture(scope="module")
def hub(checkpoint: Path) -> Iterator[str]:
    """Give a server with the few calls of the Hub's API that a download makes; it has org/tiny."""
    contents = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    contents |= {"modeling.py": b"import os", "onnx/model.safetensors": b"other"}

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/api/models/org/tiny/revision/"):
                files = [{"rfilename": name} for name in contents]
                self._send(json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": files}))
            elif path.startswith("/api/models/org/tiny/tree/"):
                self._send(
                    json.dumps(
                        [
                            {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                            for name, content in contents.items()
                        ]
                    )
                )
            elif path.startswith(f"/org/tiny/resolve/{COMMIT}/"):
                asked.append(path.partition(f"{COMMIT}/")[2])
                self._send(contents[asked[-1]])
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_HEAD = do_GET  # noqa: N815  # the same

        def _send(self, content: str | bytes) -> None:
            body = content.encode() if isinstance(content, str) else content
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    assert "model.safetensors" in asked
    assert not {"modeling.py", "onnx/model.safetensors"} & set(asked)


def test_a_model_of_the_hub_is_downloaded_once_and_packed_without_its_code(
    tmp_path: Path, hub: str
) -> None:
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub}
    found = run("org/tiny", tmp_path / "out", **home)
    assert found.returncode == 0, found.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["source"]["checkpoint"] == "org/tiny"
    assert (tmp_path / "out" / "README.md").read_text().startswith("# tiny\n")
    none = run("org/none", tmp_path / "none", **home)
    assert none.returncode == 1
    assert "org/none is neither a folder here nor a model" in none.stderr.splitlines()[-1]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "the Hub cannot be reached"),
    ],
)
def test_where_there_is_no_network_one_line_says_so(
    tmp_path: Path, environment: dict[str, str], reason: str
) -> None:
    found = run("org/tiny", tmp_path / "out", HF_HOME=str(tmp_path / "home"), **environment)
    assert found.returncode == 1
    last = found.stderr.splitlines()[-1]
    assert last.startswith("pack-model: org/tiny is no folder here, and")
    assert reason in last
    assert not (tmp_path / "out").exists()


def test_a_folder_wins_over_a_model_of_the_hub_with_its_name(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "tiny").symlink_to(checkpoint)
    main(["org/tiny", "out"])
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("model.tar.gz", "is an archive: unpack it into a new folder"),
        ("weights.bin", "is a file; name the folder of a checkpoint"),
    ],
)
def test_a_file_is_no_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    (tmp_path / name).touch()
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / name), str(tmp_path / "out")])
    assert stop.value.code == 1
    assert reason in capsys.readouterr().err.splitlines()[-1]


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """Make a seeded adapter of the tiny checkpoint, with weights that change its answers."""
    peft = pytest.importorskip("peft")
    import torch
    from transformers import AutoModelForSequenceClassification

    directory = tmp_path_factory.mktemp("adapters") / "lora"
    base = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    torch.manual_seed(1)
    config = peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=16, init_lora_weights=False)
    peft.get_peft_model(base, config).save_pretrained(directory)
    return directory


pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


def test_an_adapter_is_packed_with_its_base_model(
    tmp_path: Path, checkpoint: Path, lora: Path
) -> None:
    import peft
    import torch
    from transformers import AutoModelForSequenceClassification

    main([str(lora), str(tmp_path / "out")])
    packed = artifacts.open_model(tmp_path / "out", Limits())
    plain = artifacts.open_model(checkpoint, Limits())
    base = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    whole = peft.PeftModel.from_pretrained(base, lora).eval()

    def run_whole(batch: Batch) -> np.ndarray:
        ids, mask, types = map(torch.from_numpy, (batch.ids, batch.mask, batch.types))
        with torch.inference_mode():
            output = whole(input_ids=ids, attention_mask=mask, token_type_ids=types)
        return np.asarray(output.logits)

    expected, found = probe.answers(run_whole, probe.texts(plain)), probe.logits(packed)
    assert np.abs(expected - found).max() <= probe.TOLERANCE
    assert np.abs(expected - probe.logits(plain)).max() > 2 * probe.TOLERANCE
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["source"]["checkpoint"] == "lora"
    assert manifest["labels"] == [-1, 0, 1]


def test_an_adapter_whose_last_layer_nobody_trained_is_refused(
    tmp_path: Path, checkpoint: Path, lora: Path
) -> None:
    from safetensors.torch import load_file, save_file

    base, bare = tmp_path / "base", tmp_path / "bare"
    shutil.copytree(checkpoint, base)
    shutil.copytree(lora, bare)
    for directory, name in ((base, "model.safetensors"), (bare, adapter.WEIGHTS)):
        kept = {
            key: value
            for key, value in load_file(directory / name).items()
            if "classifier" not in key
        }
        save_file(kept, directory / name, {"format": "pt"})
    config = bare / adapter.CONFIG
    config.write_text(config.read_text().replace(str(checkpoint), str(base)))
    with pytest.raises(ArtifactError, match=r"no weights for classifier\.bias"):
        adapter.merge(bare, tmp_path / "merged", Path)


def without(names: set[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in an interpreter that has not got some packages."""
    return run_without(names, "from compress.pack import main; main()", *arguments)


def test_without_the_extra_one_line_says_how_to_install_it(
    tmp_path: Path, checkpoint: Path
) -> None:
    found = without({"torch", "transformers", "onnx"}, checkpoint, tmp_path / "out")
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("pack-model: torch is not installed, which packing needs: pip ")
    assert "https://download.pytorch.org/whl/cpu" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_peft_an_adapter_is_refused_with_that_advice(tmp_path: Path, lora: Path) -> None:
    found = without({"peft"}, lora, tmp_path / "out")
    assert found.returncode == 1
    assert "which is merged with its base model by peft: pip install peft" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_weights_for_this_cpu_are_added_without_the_extra(tmp_path: Path, packed: Path) -> None:
    copy, bundle = tmp_path / "copy", tmp_path / "model.tar.gz"
    shutil.copytree(packed, copy)
    missing = {"torch", "transformers", "onnx", "safetensors", "sympy", "tqdm"}
    found = without(missing, "--prepack-only", copy, "--archive", bundle)
    assert found.returncode == 0, found.stderr
    assert bundle.exists()


def test_help_and_version_need_nothing_but_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for expected in ("exit codes:", "129, 130, 143", "--validate", "--max-length", "ORG/NAME"):
        assert expected in said
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("pack-model 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["checkpoint"],
        ["checkpoint", "out", "--labels"],
        ["checkpoint", "out", "--validate", "x", "--min-agreement", "98"],
        ["checkpoint", "out", "--max-length", "0"],
        ["checkpoint", "out", "--tolerance", "nan"],
        ["--prepack-only", "out", "--validate", "x"],
    ],
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
