"""`python -m benchmarks`: the list of benchmarks, the version, and what is said without extras."""

from __future__ import annotations

import sys
import tomllib

import pytest

from benchmarks import __main__
from tests.conftest import ROOT


def test_help_lists_every_benchmark_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        __main__.main(["--help"])
    shown = capsys.readouterr().out
    for name, (_, line) in __main__.BENCHMARKS.items():
        assert f"  {name} " in shown
        assert line in shown


@pytest.mark.parametrize("name", __main__.BENCHMARKS)
def test_every_benchmark_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        __main__.main([name, "--help"])
    assert f"usage: python -m benchmarks {name} " in capsys.readouterr().out


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        __main__.main(["--version"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert capsys.readouterr().out == f"{project['name']} {project['version']}\n"


def test_what_is_not_installed_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(SystemExit, match="2"):
        __main__.main(["compare"])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'sagemaker-serverless-sentiment[dev]'" in said
