"""Every page in the tree, held against the JSON file that it is written from."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.harness.results import Benchmark

WRITING: list[Benchmark] = [
    module.BENCHMARK
    for module in (import_module(name) for name, _ in BENCHMARKS.values())
    if hasattr(module, "BENCHMARK") and module.BENCHMARK.json.exists()
]


@pytest.mark.parametrize("benchmark", WRITING, ids=lambda benchmark: benchmark.name)
def test_a_page_is_what_redraw_writes(benchmark: Benchmark, tmp_path: Path) -> None:
    shutil.copy(benchmark.json, tmp_path)
    benchmark.run(["--redraw", "--out", str(tmp_path)])
    assert (tmp_path / benchmark.page.name).read_text() == benchmark.page.read_text()
