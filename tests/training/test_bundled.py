"""The command that makes the bundled model goes through all its stages, and goes on from them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.models import architectures
from tests.interpreter import run_without
from training.bundled import main

WORDS = {1: "bad bad", 2: "bad", 3: "ok", 4: "good", 5: "love this"}


def write(path: Path, count: int) -> None:
    """Write rated reviews of a few words."""
    with gzip.open(path, "wt") as stream:
        for number in range(count):
            stars = number % 5 + 1
            row = {
                "text": f"it is {WORDS[stars]}. it was warm and cheap! day {number}",
                "rating": stars,
                "label": -1 if stars < 3 else int(stars > 3),
            }
            stream.write(json.dumps(row) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make reviews, and two tiny encoders."""
    made = tmp_path_factory.mktemp("bundled")
    write(made / "train.jsonl.gz", 60)
    write(made / "validation.jsonl.gz", 20)
    architectures.make("mpnet", made / "large")
    architectures.make("bert", made / "small", num_hidden_layers=5, max_position_embeddings=140)
    return made


def arguments(folder: Path, out: str, *more: str) -> list[str]:
    """Return a command line for the tiny encoders."""
    encoders = ["--teacher-encoder", str(folder / "large"), "--student-encoder"]
    files = ["--data", str(folder), "--out", str(folder / out)]
    return [*files, "--work", str(folder / "work"), *encoders, str(folder / "small"), *more]


def refusal(line: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, and return the one line in which it refuses."""
    with pytest.raises(SystemExit) as stop:
        main(line)
    assert stop.value.code == 1
    (said,) = capsys.readouterr().err.splitlines()
    return said


def test_a_model_comes_out_and_a_second_run_goes_on_from_what_is_finished(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(folder, "first"))
    first = capsys.readouterr()
    assert "train mpnet, and ask it about fold 3 of 3" in first.err
    figures = json.loads(first.out)
    assert figures["teachers"].keys() >= {"tf-idf", "minilm-1", "mpnet", "average"}
    assert figures["teachers"]["tf-idf"] > 0.9  # a word of each review gives its stars away
    assert figures["validation"]["classes"]["1"]["support"] == 8
    assert set(figures["sanity"]) >= {"all", "clothing", "services", "negation", "emoji"}

    config = json.loads((folder / "first" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["max_position_embeddings"]) == (4, 128)
    assert "macro F1" in (folder / "first" / "README.md").read_text()

    main(arguments(folder, "second"))
    second = capsys.readouterr()
    assert "train" not in second.err
    assert json.loads(second.out) == figures


def test_what_was_made_with_another_seed_is_not_mixed_in(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "work").mkdir(exist_ok=True)
    (folder / "work" / "made-from.json").write_text('{"seed": 1, "reviews": "other"}')
    said = refusal(arguments(folder, "third"), capsys)
    assert "name a new one with --work" in said
    assert not (folder / "third").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"text": "fine", "rating": 4, "label": 1}\n{"text": 3}\n', "line 2: expected {"),
        ('{"text": "fine", "rating": 9, "label": 1}\n', "line 1: expected {"),
        ('{"text": "fine"\n', "line 1: no JSON in UTF-8"),
        ("", "holds no reviews"),
    ],
)
def test_reviews_that_cannot_be_read_are_named(
    content: str,
    expected: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(content.encode()))
    line = [*arguments(folder, "fourth"), "--data", str(tmp_path)]
    assert expected in refusal(line, capsys)


def test_data_that_is_not_there_is_told_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(["--data", str(tmp_path), "--out", str(tmp_path / "out")], capsys)
    assert "not found; pass the folder that holds it with --data" in said


def test_without_the_extra_one_line_says_how_to_install_it() -> None:
    code = "from training.bundled import main; main()"
    found = run_without({"sklearn"}, code, "--data", "reviews", "--out", "checkpoint")
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("training.bundled: sklearn is not installed, which training ")
    assert "pip install 'sagemaker-serverless-sentiment[train]'" in found.stderr
