"""The table of a model and its smaller forms, measured on real servers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from benchmarks.compression import command
from benchmarks.harness import texts
from benchmarks.harness.results import read
from benchmarks.harness.screenshot import CHROMIUM
from tests.conftest import BUNDLED


def test_the_table_has_a_line_for_each_model_with_what_it_costs(
    tmp_path: Path, packed: Path
) -> None:
    rows = ({"text": text, "label": place % 3 - 1} for place, text in enumerate(texts.invented(80)))
    with gzip.open(tmp_path / texts.REVIEWS, "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    shot = tmp_path / "report.png"
    arguments = [BUNDLED, packed, "--data", tmp_path, "--out", tmp_path, "--runs", 1]
    arguments += ["--requests", 3, *(["--screenshot", shot] if CHROMIUM else [])]
    command.main([*map(str, arguments)])
    (figures,) = command.BENCHMARK.files(tmp_path)
    found = read(figures)
    for name in (BUNDLED.name, packed.name):
        for what in (*command.QUALITY, *command.SERVED, "agreement"):
            assert len(found.of(what, name)) == 1
    assert found.of("agreement", BUNDLED.name) == [1.0]
    assert "pack-model of tiny-bert" in found.words["made by"][packed.name]
    page = (tmp_path / "COMPRESSION.md").read_text()
    (parameters,) = found.of("parameters", BUNDLED.name)
    assert f"| {BUNDLED.name} | {parameters:,.0f} |" in page
    assert f"| {packed.name} | " in page
    if CHROMIUM:
        assert shot.read_bytes().startswith(b"\x89PNG")
        assert shot.stat().st_size < 300_000
