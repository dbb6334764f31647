"""A real start, stage by stage, and what lazy imports save of it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.coldstart import command, stages
from benchmarks.harness.results import read


def test_a_breakdown_names_each_stage_of_a_real_start(tmp_path: Path) -> None:
    command.main(["--breakdown", "--runs", "1", "--pairs", "1", "--out", str(tmp_path)])
    page = (tmp_path / "COLDSTART.md").read_text()
    # A stage that is not seen has lost its function: name the new one in tracer.py.
    assert "not seen" not in page
    for name in stages.KNOWN:
        assert f"  {name} " in page
    assert "files opened: " in page
    assert "| CPU time, ms |" in page
    found = read(tmp_path / "coldstart.json")
    for what in ("first answer", "CPU time"):
        for who in command.PROGRAMS:
            assert found.of(what, who)[0] > 50  # ms
