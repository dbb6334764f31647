"""pack-model compare prints how well models answer the same texts, and what each costs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from benchmarks.models import architectures
from compress.pack import main
from model_handler import Handler
from tests.conftest import BUNDLED, labelled

# Short texts with the labels that their writers gave them.
TEXTS = (
    ("I love this dress, it fits perfectly.", 1),
    ("Soft, warm and true to size.", 1),
    ("The best jeans I have ever bought!", 1),
    ("It is okay, but the colour is not as in the picture.", 0),
    ("Nice fabric, odd cut. I may keep it.", 0),
    ("Not bad, not great.", 0),
    ("The zip broke on day two.", -1),
    ("Cheap fabric, bad seams, I sent it back.", -1),
    ("Never again.", -1),
)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    rows = ({"text": text, "label": label} for text, label in TEXTS)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    main(["compare", *map(str, arguments)])
    return capsys.readouterr().out


def test_the_figures_are_those_of_the_models_as_they_are_served(
    texts: Path, checkpoint: Path, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(
        printed(capsys, BUNDLED, checkpoint, packed, "--data", texts, "--json", "--labels")
    )
    assert (found["file"], found["rows"]) == ("texts.jsonl", len(TEXTS))
    assert [each["model"] for each in found["models"]] == [
        BUNDLED.name,
        checkpoint.name,
        packed.name,
    ]
    right = [label for _, label in TEXTS]
    first: list[Any] = []
    for directory, row in zip((BUNDLED, checkpoint, packed), found["models"], strict=True):
        answers = labelled(Handler(directory), *(text for text, _ in TEXTS))
        given = [each.predicted_label for each in answers]
        first = first or given
        macro = f1_score(right, given, average="macro", labels=[-1, 0, 1], zero_division=0)
        recalls = recall_score(right, given, average=None, labels=[-1, 0, 1], zero_division=0)
        assert row["macro_f1"] == pytest.approx(macro)
        assert row["worst_recall"] == pytest.approx(min(recalls))
        assert 0 <= row["ece"] <= 1
        low, high = row["macro_f1_interval"]
        assert low <= row["macro_f1"] <= high
        same = float(np.mean([one == other for one, other in zip(first, given, strict=True)]))
        assert row.get("agreement", 1.0) == pytest.approx(same)
        assert row["p50_ms"] > 0
    bundled, tiny, its_packed = found["models"]
    assert "start_ms" in bundled
    assert "start_ms" not in tiny  # it is measured of packed models only
    size = sum(path.stat().st_size for path in BUNDLED.iterdir())
    assert bundled["megabytes"] == pytest.approx(size / 1e6, rel=0.01)
    assert its_packed["parameters"] == pytest.approx(tiny["parameters"], rel=0.1)


def test_multiplications_are_those_of_the_layers(
    texts: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    width, inner = config["hidden_size"], config["intermediate_size"]
    (row,) = json.loads(printed(capsys, checkpoint, "--data", texts, "--json"))["models"]
    # Four products of the attention, two of the feed-forward part, and 16 queries with 16 keys,
    # twice. The head runs once a text: less than one of these for each token.
    layer = 4 * width**2 + 2 * width * inner + 2 * 16 * width
    layers = config["num_hidden_layers"] * layer
    assert layers <= row["multiplications"] <= layers + width**2


def test_the_table_has_a_line_for_each_model(
    texts: Path, checkpoint: Path, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads, *lines = printed(capsys, checkpoint, packed, "--data", texts, "--no-labels").splitlines()
    assert "same answers" in heads
    assert "macro-F1" not in heads
    assert [line.split()[0] for line in lines] == [checkpoint.name, packed.name]
    assert not lines[0].count("%")
    assert lines[1].count("%") == 1


def test_models_with_other_labels_are_refused(
    tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = architectures.make("bert", tmp_path / "values", problem_type="regression")
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(BUNDLED), str(other), "--data", str(texts)])
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert f"{other} answers with regression" in said
    assert "they cannot be compared" in said


def test_what_is_no_model_is_refused_in_one_line(
    tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, reason in (
        ([BUNDLED, tmp_path / "none"], "none is not a directory; name one with a model"),
        ([BUNDLED, tmp_path], "holds no model"),
        ([BUNDLED, "--report", texts / "page.html"], "cannot be written"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["compare", *map(str, arguments), "--data", str(texts)])
        assert stop.value.code == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("pack-model compare: ")
        assert reason in said


def test_a_model_that_answers_with_no_numbers_is_refused(
    tmp_path: Path, texts: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.numpy import load_file, save_file

    spoiled = tmp_path / "spoiled"
    shutil.copytree(checkpoint, spoiled)
    weights = load_file(spoiled / "model.safetensors")
    weights["classifier.bias"][0] = np.nan
    save_file(weights, spoiled / "model.safetensors", {"format": "pt"})
    with pytest.raises(SystemExit) as stop:
        main(["compare", str(spoiled), "--data", str(texts)])
    assert stop.value.code == 1
    assert "NaN" in capsys.readouterr().err
