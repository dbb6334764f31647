"""A training job reads what SageMaker gives it, trains, stops, goes on, and says why it fails."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from model_handler import Handler
from tests.conftest import ROOT, labelled
from training.job import Hyperparameters
from training.metric_lines import DEFINITIONS

COMMAND = [str(Path(sys.executable).with_name("train"))]
# Cheap steps; a small model would only wait for more threads.
QUICK = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
SECONDS = 300  # a job takes some, on a busy machine many
HYPERPARAMETERS = {
    "model_name_or_path": "encoder",
    "epochs": "3",
    "batch_size": "8",
    "learning_rate": "1e-3",
    "max_length": "16",
}
GOOD, BAD = "i love this great product".split(), "zip broke never fits again".split()


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Return labelled texts, of which one in four is bad."""
    rng = random.Random(seed)
    labels = [-1 if place % 4 == 0 else 1 for place in range(count)]
    return [
        {"text": " ".join(rng.choices(GOOD if label == 1 else BAD, k=6)), "label": label}
        for label in labels
    ]


def json_lines(path: Path, values: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in values))


def job(base: Path, encoder: Path | None = None, **hyperparameters: object) -> Path:
    """Write what SageMaker gives to a job, with its own values beside those that tests choose."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    given = {**HYPERPARAMETERS, "sagemaker_region": '"eu-west-1"', **hyperparameters}
    (config / "hyperparameters.json").write_text(json.dumps(given))
    (config / "resourceconfig.json").write_text('{"current_host": "algo-1", "hosts": ["algo-1"]}')
    (config / "inputdataconfig.json").write_text('{"train": {"TrainingInputMode": "File"}}')
    json_lines(base / "input" / "data" / "train" / "a.jsonl", rows(80, 1))
    if encoder is not None:
        shutil.copytree(encoder, base / "input" / "data" / "encoder")
    return base


@contextmanager
def started(base: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a job, which ends with the block at the latest."""
    environment = {**os.environ, **QUICK, "SAGEMAKER_BASE_DIR": str(base)}
    with subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(base: Path) -> tuple[int, str, str]:
    """Run a job; return its exit code, stdout and stderr."""
    with started(base) as process:
        out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def failure(base: Path) -> str:
    """Run a job that must fail; return its reason, which is in output/failure and on stderr."""
    code, _, err = run(base)
    reason = (base / "output" / "failure").read_text()
    assert code == 1, err
    assert err == f"train: {reason}\n"
    assert not list(base.glob("model/*"))
    return reason


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run a job from start to end, with a validation channel; return its folder and its stdout."""
    base = job(tmp_path_factory.mktemp("whole") / "ml", checkpoint)
    json_lines(base / "input" / "data" / "validation" / "b.jsonl", rows(40, 2))
    code, out, err = run(base)
    assert code == 0, err
    return base, out


def test_the_model_is_one_that_is_served(whole: tuple[Path, str]) -> None:
    model = whole[0] / "model"
    assert json.loads((model / "config.json").read_text())["id2label"] == {"0": "-1", "1": "1"}
    found = labelled(Handler(model), "i love this great product", "zip broke never fits again")
    assert [each.predicted_label for each in found] == [1, -1]
    assert not (whole[0] / "output" / "failure").exists()
    # By the user of any container.
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in model.iterdir())


def test_each_metric_definition_finds_its_numbers(whole: tuple[Path, str]) -> None:
    for name, regex in DEFINITIONS.items():
        found = [float(number) for number in re.findall(regex, whole[1])]
        assert found, name
        assert all(0 <= number < 10 for number in found), name
    assert len(re.findall(DEFINITIONS["validation:macro_f1"], whole[1])) == 3


def test_a_job_that_was_stopped_goes_on_to_the_same_weights(
    whole: tuple[Path, str], tmp_path: Path
) -> None:
    base = tmp_path / "ml"
    shutil.copytree(whole[0] / "input", base / "input")
    with started(base) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step="):
                process.send_signal(signal.SIGTERM)
                break
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert weights(base / "model") != weights(whole[0] / "model")
    # As a machine leaves it that was taken away while it wrote.
    cut = base / "checkpoints" / "checkpoint-1000"
    cut.mkdir()
    (cut / "trainer_state.json").write_text('{"epoch": 3')
    code, _, err = run(base)
    assert code == 0, err
    assert weights(base / "model") == weights(whole[0] / "model")


def test_reviews_as_csv_are_read_and_some_are_kept_aside(checkpoint: Path, tmp_path: Path) -> None:
    base = job(tmp_path / "ml", checkpoint, max_steps="2")
    channel = base / "input" / "data" / "train"
    shutil.rmtree(channel)
    channel.mkdir()
    stars = [f'{place},"i love, this\nproduct",{place % 5 + 1}' for place in range(60)]
    text = "\n".join([",Review Text,Rating", *stars, "60,,5", "61, ,4"]) + "\n"
    with gzip.open(channel / "reviews.csv.gz", "wt", encoding="utf-8-sig") as stream:
        stream.write(text)
    code, out, err = run(base)
    assert code == 0, err
    assert "60 examples with the labels -1, 0, 1" in out
    assert "2 rows without a text are left out" in out
    assert "5 examples are kept aside" in out
    names = json.loads((base / "model" / "config.json").read_text())["id2label"]
    assert names == {"0": "-1", "1": "0", "2": "1"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"learning_rat": "1e-3"}, "learning_rat is unknown; did you mean learning_rate?"),
        ({"epochs": "many"}, "epochs must be a number, not 'many'"),
        ({"batch_size": "2.5"}, "batch_size must be a whole number, not '2.5'"),
        ({"batch_size": "0"}, "batch_size must be from 1 to 4096, not 0"),
        ({"learning_rate": "nan"}, "learning_rate must be a number, not 'nan'"),
        ({"learning_rate": "inf"}, "learning_rate must be a number, not 'inf'"),
        ({"epochs": '"-1"'}, "epochs must be above 0 to 1000, not -1"),
        ({"model_name_or_path": "nowhere"}, "nowhere is neither a channel nor a folder"),
    ],
)
def test_a_wrong_hyperparameter_is_named(
    given: Mapping[str, str], reason: str, tmp_path: Path
) -> None:
    assert reason in failure(job(tmp_path / "ml", None, **given))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b"", "a.jsonl has no examples"),
        ("a.csv", b"", "a.csv, line 1: no column Review Text and Rating"),
        ("a.csv", b"Review Text,Stars\nfine,5\n", "line 1: no column Rating; its columns are"),
        ("a.csv", b"Review Text,Rating\nfine,5\nok,6\n", "line 3: Rating must be 1 to 5, not '6'"),
        ("a.csv", b"Review Text,Rating\nfine,5\nok,\n", "line 3: Rating must be 1 to 5, not ''"),
        ("a.csv", b"Review Text,Rating\nfine,5\n\xff,1\n", "not UTF-8"),
        ("a.jsonl", b'{"text": "ok", "label": 1}\n{\n', "a.jsonl, line 2: not JSON"),
        ("a.jsonl", b'{"text": "ok", "label": 1}\n\xff\n', "a.jsonl, line 2: not UTF-8 at byte 0"),
        ("a.jsonl", b'{"review": "ok", "label": 1}\n', 'line 1: no "text" or "features"'),
        ("a.jsonl", b'{"text": "ok", "stars": 1}\n', 'line 1: "label" must be a whole number'),
        ("a.jsonl", b'{"text": "ok", "label": 0.5}\n', 'line 1: "label" must be a whole number'),
        ("a.jsonl", b'{"text": "ok", "label": 1}\n', "all examples have the label 1"),
        (
            "a.jsonl",
            b'{"text": "ok", "label": 1}\n{"text": "ok", "label": "good"}\n',
            'a.jsonl, line 1 has 1, a.jsonl, line 2 has "good"',
        ),
        ("a.jsonl.gz", b"\x1f\x8b\x08", "a.jsonl.gz is damaged"),
        ("a.jsonl.gz", b"plain", "a.jsonl.gz is damaged"),
    ],
)
def test_wrong_data_are_named_by_file_and_line(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    base = job(tmp_path / "ml")
    channel = base / "input" / "data" / "train"
    (channel / "a.jsonl").unlink()
    (channel / name).write_bytes(content)
    assert reason in failure(base)


def test_labels_of_the_validation_channel_are_known(tmp_path: Path) -> None:
    base = job(tmp_path / "ml")
    json_lines(base / "input" / "data" / "validation" / "v.jsonl", [{"text": "ok", "label": 7}])
    assert "v.jsonl, line 1: label 7 is in no training example: -1, 1" in failure(base)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("resourceconfig", {"hosts": ["algo-1", "algo-2"]}, "InstanceCount is 2, set it to 1"),
        ("inputdataconfig", {"train": {"TrainingInputMode": "Pipe"}}, "use File or FastFile"),
    ],
)
def test_what_a_job_cannot_do_is_refused(
    name: str, content: object, reason: str, tmp_path: Path
) -> None:
    base = job(tmp_path / "ml")
    (base / "input" / "config" / f"{name}.json").write_text(json.dumps(content))
    assert reason in failure(base)


def test_a_job_without_the_channel_says_so(tmp_path: Path) -> None:
    base = job(tmp_path / "ml")
    shutil.rmtree(base / "input" / "data" / "train")
    assert "there is no channel train" in failure(base)


def test_the_page_has_the_metric_definitions_and_the_hyperparameters() -> None:
    page = (ROOT / "docs" / "training.md").read_text()
    (listed,) = re.findall(r"```json\n(\[.*?\])\n```", page, re.S)
    assert {each["Name"]: each["Regex"] for each in json.loads(listed)} == DEFINITIONS
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S*) ?\| ", page, re.M))
    defaults = asdict(Hyperparameters())
    assert rows.keys() == defaults.keys()
    for name, value in defaults.items():
        assert type(value)(rows[name]) == value
