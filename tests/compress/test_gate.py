"""--gate refuses what is worse than its budgets beyond noise, and nothing that may be chance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compress import comparison, gate
from compress.examples import Data, Task
from compress.pack import main
from compress.report import Report
from model_handler import ProblemType

LABELS = (-1, 0, 1)


def compared(
    folder: Path,
    right: Sequence[int | list[int]],
    before: np.ndarray,
    after: np.ndarray,
    kind: ProblemType = ProblemType.ONE_LABEL,
) -> Report:
    """Compare two models whose logits, (N, L), are given, on N texts with these right labels."""
    path = folder / "texts.jsonl"
    rows = ({"text": f"text {number}", "label": label} for number, label in enumerate(right))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return comparison.compare(before, after, Data(path, Task(kind, LABELS), True, len(right)))


def logits(places: np.ndarray, probability: float = 0.9) -> np.ndarray:
    """Make logits, (N, 3), that give these labels this probability."""
    found = np.full((len(places), 3), (1 - probability) / 2)
    found[np.arange(len(places)), places] = probability
    scores: np.ndarray = np.log(found).astype(np.float32)
    return scores


def spoiled(places: np.ndarray, count: int) -> np.ndarray:
    """Give `count` of the labels as the next one."""
    found = places.copy()
    found[:count] = (found[:count] + 1) % 3
    return found


def test_a_drop_is_refused_only_if_the_interval_of_the_change_is_beyond_the_budget(
    tmp_path: Path,
) -> None:
    budgets = {"agreement": 0.0, "macro_f1_drop": 0.02}
    for rows, refused in ((60, False), (6000, True)):
        places = np.arange(rows) % 3
        right = [LABELS[place] for place in places]
        report = compared(tmp_path, right, logits(places), logits(spoiled(places, rows // 20)))
        assert report.found["macro_f1_before"] - report.found["macro_f1_after"] > 0.04
        if refused:
            with pytest.raises(gate.BudgetError) as missed:
                gate.check(report.found, budgets)
            by = -report.found["macro_f1_change_interval"][1] - 0.02
            assert f", {by:.4f} beyond --gate macro_f1_drop=0.02: " in str(missed.value)
        else:
            gate.check(report.found, budgets)


def test_budgets_that_nobody_states_are_held(tmp_path: Path) -> None:
    places = np.arange(3000) % 3
    right = [LABELS[place] for place in places]
    before, after = logits(places), logits(spoiled(places, 90))
    with pytest.raises(gate.BudgetError, match=r"agreement=0.98; macro-F1 drops .* macro_f1_drop="):
        gate.check(compared(tmp_path, right, before, after).found, {})
    loose = {"agreement": 0.9, "macro_f1_drop": 0.1, "recall_drop": 0.01}
    with pytest.raises(gate.BudgetError, match=r"recall_drop=0\.01: nothing is written"):
        gate.check(compared(tmp_path, right, before, after).found, loose)
    gate.check(compared(tmp_path, right, before, before).found, {})


def test_calibration_is_how_far_probabilities_are_from_the_share_that_is_right(
    tmp_path: Path,
) -> None:
    places = np.arange(1000) % 3
    right = [LABELS[place] for place in spoiled(places, 300)]
    report = compared(tmp_path, right, logits(places, 0.7), logits(places, 0.95))
    assert report.found["ece_before"] == pytest.approx(0.0, abs=1e-6)
    assert report.found["ece_after"] == pytest.approx(0.25, abs=1e-6)
    (bin_,) = report.bins["after"]
    assert bin_ == pytest.approx((1000, 0.95, 0.7))
    with pytest.raises(gate.BudgetError, match=r"ece is 0\.2500, 0\.2200 above --gate ece=0\.03"):
        gate.check(report.found, {"ece": 0.03})
    assert np.trace(report.confusion["after"]) == 700


def test_of_several_labels_each_probability_is_a_prediction(tmp_path: Path) -> None:
    right = [[-1, 1], [0], [], [1]] * 25
    sure = np.array([[4.0, -4, 4], [-4, 4, -4], [-4, -4, -4], [-4, -4, 4]] * 25, np.float32)
    report = compared(tmp_path, right, sure, -sure, ProblemType.SEVERAL_LABELS)
    assert (report.found["macro_f1_before"], report.found["macro_f1_after"]) == (1.0, 0.0)
    assert report.found["ece_before"] == pytest.approx(1 / (1 + np.exp(4)), abs=1e-6)
    assert not report.confusion


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("accuracy=0.9", "'accuracy=0.9' is not NAME=VALUE for agreement, macro_f1_drop"),
        ("agreement", "'' is no number from 0 to 1"),
        ("agreement=98", "'98' is no number from 0 to 1"),
        ("ece=nan", "'nan' is no number from 0 to 1"),
    ],
)
def test_a_budget_that_is_none_is_refused_at_once(
    words: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["checkpoint", "out", "--validate", "texts.jsonl", "--gate", words])
    assert stop.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_budget_that_needs_labels_is_refused_before_any_work(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "good"}\n')
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *map(str, [checkpoint, tmp_path / "out", "--validate", texts]),
                *["--gate", "recall_drop=0.1"],
            ]
        )
    said = capsys.readouterr().err
    assert stop.value.code == 1
    assert f'--gate recall_drop needs a "label" in each record of {texts}' in said
    assert "export" not in said
    assert list(tmp_path.iterdir()) == [texts]
