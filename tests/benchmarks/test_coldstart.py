"""A real start: stage by stage, the blocks that it touches, and what lazy imports save of it."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.coldstart import causes, command, stages
from benchmarks.harness import page_cache
from benchmarks.harness.results import Results, read
from tests.conftest import BUNDLED, ROOT

rooted = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")


def disk(folder: Path) -> Path:
    """Return a folder's setting of read-ahead, or skip the test."""
    try:
        return page_cache.read_ahead(folder)
    except OSError as error:
        pytest.skip(str(error))


def found_in(folder: Path) -> Path:
    """Return the file of figures, whose name has the kind of this CPU."""
    (path,) = folder.glob("coldstart.*.json")
    return path


def test_a_breakdown_names_each_stage_of_a_real_start(tmp_path: Path) -> None:
    options = ["--breakdown", "--runs", "1", "--pairs", "1", "--parts", "start"]
    command.main([str(BUNDLED), *options, "--out", str(tmp_path)])
    page = (tmp_path / "COLDSTART.md").read_text()
    # A stage that is not seen has lost its function: name the new one in tracer.py.
    assert "not seen" not in page
    for name in stages.KNOWN:
        assert f"  {name} " in page
    assert "| CPU time |" in page
    found = read(found_in(tmp_path))
    for what in ("cold", "cpu_seconds"):
        for who in command.PROGRAMS:
            assert found.of(what, who)[0] > 0.05
    # What stages take themselves, added up, is what the outermost take with all in them.
    own = stages.own_cpu(found, BUNDLED.name)
    whole = [stage for stage in stages.medians(found, BUNDLED.name) if stage.depth == 0]
    assert sum(own.values()) == pytest.approx(sum(stage.cpu for stage in whole))


@rooted
def test_the_blocks_of_a_start_are_counted_and_read_ahead_is_as_before(tmp_path: Path) -> None:
    setting = disk(ROOT)
    before = setting.read_text()
    command.main([str(BUNDLED), "--parts", "blocks", "--out", str(tmp_path)])
    assert setting.read_text() == before
    found = read(found_in(tmp_path))
    if found.missing:
        pytest.skip(found.missing["blocks"])
    who = BUNDLED.name
    (megabytes,), (blocks,) = found.of("block_mb", who), found.of("blocks", who)
    assert megabytes * 1e6 <= blocks * page_cache.BLOCK
    for what, whole in (("block_mb", megabytes), ("blocks", blocks)):
        parts = [found.of(what, f"{who}: {cause}")[0] for cause in causes.CAUSES]
        assert sum(parts) == pytest.approx(whole)
        assert all(parts)
    # Not all of a library is touched, but some of each weight.
    for name in ("model/model.bin", "packages/onnxruntime/capi/onnxruntime_pybind11_state"):
        key = next(key for key in found.values["file_mb"] if key.startswith(f"{who}: {name}"))
        assert 0 < found.of("block_mb", key)[0] <= found.of("file_mb", key)[0]


def test_blocks_are_those_that_were_read(tmp_path: Path) -> None:
    disk(tmp_path)
    file = tmp_path / "file"
    file.write_bytes(b"x" * (3 * page_cache.BLOCK + 5))
    page_cache.evict(file)
    assert page_cache.blocks(file) == []
    with file.open("rb", buffering=0) as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no read-ahead here
        for block in (0, 3):
            os.pread(stream.fileno(), 1, block * page_cache.BLOCK)
        assert page_cache.blocks(file) == [0, 3]
        assert page_cache.length(file, [0, 3]) == page_cache.BLOCK + 5
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert mapped[0] == ord("x")
            with pytest.raises(OSError, match="stays in the page cache"):
                page_cache.evict(file)


@rooted
def test_read_ahead_is_restored_when_the_measurement_is_ended(tmp_path: Path) -> None:
    setting = disk(tmp_path)
    before = setting.read_text()
    program = f"""
import pathlib, time
from benchmarks.harness import page_cache
with page_cache.without_read_ahead(pathlib.Path({str(tmp_path)!r})):
    print("now", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert setting.read_text().strip() == "0"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert setting.read_text() == before


def test_what_a_start_cannot_show_here_is_said_on_the_page() -> None:
    found = Results("", {"models": "a model", "other work": "none"}, missing={"blocks": "no root"})
    page = command.BENCHMARK.write(found)
    assert "- blocks: no root" in page
    assert "| bytes of these blocks | a model | not measured |" in page
