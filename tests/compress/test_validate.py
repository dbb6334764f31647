"""pack-model --validate compares both models on the owner's texts, and keeps to the budgets."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from compress import examples, figures, gate
from compress.examples import Task
from compress.pack import main
from model_handler import Handler, ProblemType
from model_handler.tokens import Pairs
from tests.conftest import labelled

WORDS = "i love this product ok but not great is the right a it and good bad zip broke".split()
ROWS = 300
LOOSE = ("--gate", "agreement=0.5")  # a random model has no opinion that packing could respect


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts with labels that have nothing to do with them: it is the change that is of interest."""
    draw = random.Random(5)
    path = tmp_path_factory.mktemp("reviews") / "reviews.jsonl"
    with path.open("w") as stream:
        for _ in range(ROWS):
            text = " ".join(draw.choices(WORDS, k=draw.randint(1, 30)))
            stream.write(json.dumps({"text": text, "label": draw.choice([-1, 0, 1])}) + "\n")
    return path


@pytest.fixture(scope="module")
def proven(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, reviews: Path
) -> tuple[Path, str]:
    """Pack and validate the tiny checkpoint with labels; return it and what was printed."""
    out = tmp_path_factory.mktemp("proven") / "out"
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        main([str(checkpoint), str(out), "--validate", str(reviews), "--labels", *LOOSE])
    return out, said.getvalue()


def test_the_figures_are_those_of_the_models_as_they_are_served(
    proven: tuple[Path, str], checkpoint: Path, reviews: Path
) -> None:
    out, _ = proven
    found = json.loads((out / "manifest.json").read_text())["validation"]
    rows = [json.loads(line) for line in reviews.read_text().splitlines()]
    texts, right = [row["text"] for row in rows], [row["label"] for row in rows]
    before, after = (
        [one.predicted_label for one in labelled(Handler(directory), *texts)]
        for directory in (checkpoint, out)
    )
    assert (found["file"], found["rows"], len(found["sha256"])) == (reviews.name, ROWS, 64)
    flipped = sum(one != other for one, other in zip(before, after, strict=True))
    assert found["flipped"] == flipped > 0
    assert found["agreement"] == pytest.approx(1 - flipped / ROWS, abs=1e-4)
    for name, predicted in (("before", before), ("after", after)):
        macro = f1_score(right, predicted, average="macro", labels=[-1, 0, 1], zero_division=0)
        recalls = recall_score(right, predicted, average=None, labels=[-1, 0, 1], zero_division=0)
        assert found[f"macro_f1_{name}"] == pytest.approx(macro, abs=1e-4)
        assert found[f"worst_recall_{name}"] == pytest.approx(min(recalls), abs=1e-4)
    low, high = found["macro_f1_change_interval"]
    assert low <= found["macro_f1_after"] - found["macro_f1_before"] <= high


def test_the_report_shows_what_flipped_and_the_card_has_the_figures(
    proven: tuple[Path, str],
) -> None:
    out, said = proven
    found = json.loads((out / "manifest.json").read_text())["validation"]
    shown = [line for line in said.splitlines() if line.startswith("  line ")]
    assert len(shown) == min(10, found["flipped"])
    assert all(" -> " in line for line in shown)
    assert f"{found['agreement']:.2%}" in said
    card = (out / "README.md").read_text()
    assert f"macro-F1 {found['macro_f1_before']:.4f} -> {found['macro_f1_after']:.4f}" in card
    assert "  line " not in card  # the texts are the owner's


@pytest.mark.parametrize(
    ("options", "missed"),
    [
        (["--no-labels", "--gate", "agreement=1"], "below --gate agreement=1"),
        (["--gate", "agreement=0", "macro_f1_drop=1", "ece=0.01"], "above --gate ece=0.01"),
    ],
)
def test_a_missed_budget_leaves_nothing_behind(
    tmp_path: Path,
    checkpoint: Path,
    reviews: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    missed: str,
) -> None:
    texts = tmp_path / "reviews.jsonl"
    texts.write_bytes(reviews.read_bytes())
    if (
        "agreement=1" not in options
    ):  # what the checkpoint says is right, so packing can only be worse
        rows = [json.loads(line) for line in reviews.read_text().splitlines()]
        right = labelled(Handler(checkpoint), *(row["text"] for row in rows))
        lines = (
            json.dumps(row | {"label": one.predicted_label}) + "\n"
            for row, one in zip(rows, right, strict=True)
        )
        texts.write_text("".join(lines))
    out, bundle = tmp_path / "deep" / "out", tmp_path / "other" / "model.tar.gz"
    with pytest.raises(SystemExit) as stop:
        main([*map(str, [checkpoint, out, "--archive", bundle, "--validate", texts]), *options])
    assert stop.value.code == 1
    said = capsys.readouterr()
    assert missed in said.err.splitlines()[-1]
    assert "the same answer for" in said.out
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b'{"text": "a", "label": 1}\n\n{"review": "b", "stars": 5}\n', 'line 3: no "text"'),
        (b'{"text": "a"}\n', 'line 1: no "label" in the object, found "text"'),
        (b'{"text": "a", "label": 7}\n', "line 1: label 7 is none of the model's: -1, 0, 1"),
        (b'{"text": "a", "label": 1.0}\n', "line 1: label 1.0 is none"),
        (b'{"text": "a", "label": true}\n', "line 1: label true is none"),
        (b'{"text": "a", "label": 1}\n{"text": "caf\xe9", "label": 1}', "line 2: not UTF-8"),
        ('{"text": "a", "label": 1}'.encode("utf-16"), "line 1: not UTF-8"),
        (b'{"text": "a", "label": 1}\n{"text": ', "line 2: not JSON"),
        (b'text,label\n"a",1\n', "line 1: not JSON"),
        (b'["a"]\n', "line 1: not a JSON object"),
        (b'{"text": 5, "label": 1}\n', 'line 1: "text" holds no text, but 5'),
        (b'{"text": "\\ud800", "label": 1}\n', 'line 1: "text" holds half'),
        (b'{"features": ["a", "b"], "label": 1}\n', "--pairs"),
        (gzip.compress(b'{"text": "a", "label": 1}\n' * 99)[:-12], "is damaged"),
        (b"[" * 100_000, "line 1: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_before_any_work(
    tmp_path: Path,
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    reason: str,
) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        main([str(checkpoint), str(tmp_path / "out"), "--validate", str(path), "--labels"])
    said = capsys.readouterr().err
    assert stop.value.code == 1
    assert "export" not in said
    last = said.splitlines()[-1]
    assert last.startswith(f"pack-model: {path}")
    assert reason in last
    assert not (tmp_path / "out").exists()


def test_records_are_read_as_the_server_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "texts"  # no suffix tells that it is compressed
    lines = (
        b'\xef\xbb\xbf{"features": ["a"]}',
        b'{"features": "b"}',
        b'{"inputs": "c\\u2028d"}',
        b"",
        b'{"text": "e", "text_pair": "f"}',
        b'{"inputs": {"text": "g", "text_pair": "h"}}',
        b'{"features": ["i", "j"]}',
    )
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    task = Task(ProblemType.ONE_LABEL, ("x", "y"), Pairs.FEATURES)
    found = [(each.number, each.text) for each in examples.read(path, task, labelled=False)]
    assert found == [
        (1, "a"),
        (2, "b"),
        (3, "c\u2028d"),
        (5, ("e", "f")),
        (6, ("g", "h")),
        (7, ("i", "j")),
    ]


@pytest.mark.parametrize(
    ("kind", "labels", "label", "expected"),
    [
        (ProblemType.ONE_LABEL, ("bad", "good"), "good", (1,)),
        (ProblemType.ONE_LABEL, (-1, 0, 1), "-1", (0,)),
        (ProblemType.SEVERAL_LABELS, ("a", "b", "c"), ["c", "a"], (0, 2)),
        (ProblemType.SEVERAL_LABELS, ("a", "b", "c"), [], ()),
        (ProblemType.SEVERAL_LABELS, ("a", "b", "c"), "a", None),
        (ProblemType.VALUES, ("x",), 2.5, (2.5,)),
        (ProblemType.VALUES, ("x", "y"), [1, 2], (1.0, 2.0)),
        (ProblemType.VALUES, ("x",), "2.5", None),
        (ProblemType.VALUES, ("x",), float("nan"), None),
    ],
)
def test_a_label_is_what_the_task_answers(
    tmp_path: Path,
    kind: ProblemType,
    labels: tuple[Any, ...],
    label: Any,
    expected: tuple[float, ...] | None,
) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({"text": "a", "label": label}))
    if expected is None:
        with pytest.raises(examples.ExamplesError, match="line 1"):
            list(examples.read(path, Task(kind, labels), labelled=True))
    else:
        (found,) = examples.read(path, Task(kind, labels), labelled=True)
        assert found.expected == expected


def test_several_labels_are_compared_as_sets() -> None:
    draw = np.random.default_rng(1)
    right = draw.random((300, 4)) < 0.4
    before = right ^ (draw.random((300, 4)) < 0.1)
    after = before ^ (draw.random((300, 4)) < 0.05)
    sets = [[tuple(row.nonzero()[0].tolist()) for row in table] for table in (right, before, after)]
    answers = Counter(zip(*sets, strict=True))
    found = figures.agreement(answers) | figures.quality(answers, "abcd")
    assert found["agreement"] == (before == after).all(axis=1).mean()
    for name, table in (("before", before), ("after", after)):
        assert found[f"macro_f1_{name}"] == pytest.approx(f1_score(right, table, average="macro"))
        recalls = recall_score(right, table, average=None)
        assert found[f"worst_recall_{name}"] == pytest.approx(recalls.min())
        assert found[f"worst_recall_label_{name}"] == "abcd"[recalls.argmin()]


def test_the_interval_is_that_of_texts_drawn_anew() -> None:
    draw = np.random.default_rng(2)
    right = draw.integers(0, 3, 200)
    before = np.where(draw.random(200) < 0.8, right, draw.integers(0, 3, 200))
    after = np.where(draw.random(200) < 0.9, before, draw.integers(0, 3, 200))
    places = zip(right.tolist(), before.tolist(), after.tolist(), strict=True)
    answers: figures.Answers = Counter(((a,), (b,), (c,)) for a, b, c in places)
    changes = []
    for _ in range(300):
        drawn = draw.integers(0, 200, 200)
        one, other = (
            f1_score(right[drawn], found[drawn], average="macro") for found in (before, after)
        )
        changes.append(other - one)
    found = figures.quality(answers, "abc")["macro_f1_change_interval"]
    assert found == pytest.approx(list(np.percentile(changes, [2.5, 97.5])), abs=0.015)
    assert found == figures.quality(answers, "abc")["macro_f1_change_interval"]


def test_values_are_compared_by_their_distance() -> None:
    before = np.array([[1.0], [2.0], [3.0], [4.0]])
    after = before + np.array([[0.1], [-0.1], [0.0], [0.4]])
    found = figures.differences(before, after) | figures.errors(before, before, after)
    assert found["correlation"] == pytest.approx(np.corrcoef(before.T, after.T)[0, 1])
    assert found["largest_difference"] == pytest.approx(0.4)
    assert found["mean_error_after"] == pytest.approx(0.15)
    with pytest.raises(gate.BudgetError, match=r"correlation is 0\.\d+, 0\.\d+ below --gate agree"):
        gate.check(found, {"agreement": 0.999})
    same = figures.differences(np.ones((4, 1)), after)
    with pytest.raises(gate.BudgetError, match="no correlation"):
        gate.check(same, {})
