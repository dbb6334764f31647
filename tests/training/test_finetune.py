"""The command that fine-tunes says what is missing before any work."""

from __future__ import annotations

import pytest

from tests.interpreter import run_without
from training.finetune import main

OPTIONS = ("--data", "reviews", "--out", "checkpoint")


def test_without_the_extra_one_line_says_how_to_install_it() -> None:
    found = run_without({"sklearn"}, "from training.finetune import main; main()", *OPTIONS)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("training.finetune: sklearn is not installed, which training ")
    assert "pip install 'sagemaker-serverless-sentiment[train]'" in found.stderr


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("training.finetune 0.")


def test_data_that_is_not_there_is_told_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*OPTIONS])
    assert stop.value.code == 2
    assert "not found; pass the folder that holds it with --data" in capsys.readouterr().err
