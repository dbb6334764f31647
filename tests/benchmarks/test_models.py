"""docs/models.md, held against what the architectures do."""

from __future__ import annotations

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
    page = command.PAGE.read_text().replace("| `gpt2` | yes | none |", "| `gpt2` | yes | yes |")
    target = tmp_path / "models.md"
    target.write_text(page)
    monkeypatch.setattr(command, "PAGE", target)
    with pytest.raises(SystemExit, match=r"wrong about gpt2: .* none "):
        command.main(["--check", "gpt2"])
