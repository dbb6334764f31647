"""The engine's runs by their size, of the bundled model."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.batches import command
from tests.conftest import BUNDLED


def test_every_size_has_its_time(tmp_path: Path) -> None:
    mine = os.sched_getaffinity(0)
    try:
        command.main([str(BUNDLED), "--runs", "1", "--out", str(tmp_path)])
    finally:
        os.sched_setaffinity(0, mine)
    page = (tmp_path / "BATCHES.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line[2:3].isdigit()]
    assert [int(row[0]) for row in rows] == [*command.LENGTHS]
    assert all(float(cell) > 0 for cell in rows[0][1:])
    assert str(tmp_path) not in page
