"""docs/models.md, held against what the architectures do."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.models import command

# Padded; not padded; "</s>" pools; no limit of length; refused.
CHECKED = ("modernbert", "gpt2", "bart", "fnet", "xlnet", "funnel")


def test_the_page_has_each_architecture_and_tells_the_truth_about_some() -> None:
    assert command.differences(CHECKED) == []


def test_the_command_tells_what_the_page_has_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(command.BENCHMARK.page, tmp_path)
    spoiled = replace(command.BENCHMARK, page=tmp_path / "models.md", folder=tmp_path)
    text = command.BENCHMARK.json.read_text()
    before, padding, after = text.partition('"padding": {')
    assert '"gpt2": "none"' in after
    spoiled.json.write_text(before + padding + after.replace('"gpt2": "none"', '"gpt2": "yes"', 1))
    monkeypatch.setattr(command, "BENCHMARK", spoiled)
    with pytest.raises(SystemExit, match=r"(?s)redraw writes.*wrong about gpt2: .* none "):
        spoiled.run(["--check", "gpt2"])
