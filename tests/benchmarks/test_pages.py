"""Every page in the tree, held against the JSON files that it is written from."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.compare import command as compare
from benchmarks.compare import results_page
from benchmarks.harness import results
from benchmarks.harness.cpu_kind import AVX2, KINDS, VNNI
from benchmarks.harness.results import Benchmark
from tests.conftest import ROOT

WRITING: list[Benchmark] = [
    module.BENCHMARK
    for module in (import_module(name) for name, _ in BENCHMARKS.values())
    if hasattr(module, "BENCHMARK") and module.BENCHMARK.files()
]


@pytest.mark.parametrize("benchmark", WRITING, ids=lambda benchmark: benchmark.name)
def test_a_page_is_what_redraw_writes(benchmark: Benchmark, tmp_path: Path) -> None:
    for file in benchmark.files():
        shutil.copy(file, tmp_path)
    benchmark.run(["--redraw", "--out", str(tmp_path)])
    assert (tmp_path / benchmark.page.name).read_text() == benchmark.page.read_text()


def test_the_readme_has_the_figures_of_the_page() -> None:
    page, readme = compare.BENCHMARK.page.read_text(), (ROOT / "README.md").read_text()
    _, _, rest = page.partition(f"{results_page.IN_SHORT}\n\n")
    in_short, _, _ = rest.partition("\n\n## ")
    assert in_short in readme, f"copy what {compare.BENCHMARK.page.name} has in short"


def test_figures_of_a_kind_stay_when_the_other_is_measured_and_are_never_mixed(
    tmp_path: Path,
) -> None:
    files = {kind: tmp_path / f"results.{kind.lower()}.json" for kind in KINDS}
    for kind, file in files.items():
        found = results.Results(f"command of {kind}", {"CPU kind": kind, "CPU": f"CPU of {kind}"})
        for who, seconds in (("ours", 1.0), ("plain", 4.0 if kind == AVX2 else 8.0)):
            found.add(who, {"cold": seconds})
        found.write(file)
    compare.main(["--redraw", "--out", str(tmp_path)])
    page, picture = (tmp_path / name for name in ("RESULTS.md", "results.svg"))
    line = next(each for each in page.read_text().splitlines() if "| 1/4.00 |" in each)
    assert line.index("1/4.00") < line.index("1/8.00")  # the platform's kind comes first
    for kind in KINDS:
        assert f"command of {kind}" in page.read_text()
        assert f"CPU of {kind}" in picture.read_text()
    assert "4.0x faster" in picture.read_text()
    assert "with VNNI: 8.0x faster" in picture.read_text()
    # Alone, those of the other kind are the page; in a file of the wrong kind they are refused.
    files[AVX2].unlink()
    compare.main(["--redraw", "--out", str(tmp_path)])
    assert f"command of {AVX2}" not in page.read_text()
    before = page.read_text()
    files[AVX2].write_text(json.dumps(json.loads(files[VNNI].read_text())))
    with pytest.raises(SystemExit, match=r"results\.avx2\.json has figures of a CPU of kind VNNI"):
        compare.main(["--redraw", "--out", str(tmp_path)])
    assert page.read_text() == before
