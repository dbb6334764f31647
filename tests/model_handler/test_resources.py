"""What this process may use is read from its affinity, its cgroups and the memory size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_handler import Limits, resources


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.usefixtures("two_cpus")
class TestShare:
    def test_without_limits_it_is_the_affinity(self, tmp_path: Path) -> None:
        assert resources.cpu_share(root=tmp_path) == 2

    def test_a_v2_quota_of_the_container(self, tmp_path: Path) -> None:
        write(tmp_path / "sys/fs/cgroup/cpu.max", "58000 100000\n")
        assert resources.cpu_share(root=tmp_path) == 0.58

    def test_a_v2_quota_above_the_own_group(self, tmp_path: Path) -> None:
        write(tmp_path / "proc/self/cgroup", "0::/pods/mine\n")
        write(tmp_path / "sys/fs/cgroup/pods/mine/cpu.max", "max 100000\n")
        write(tmp_path / "sys/fs/cgroup/pods/cpu.max", "150000 100000\n")
        assert resources.cpu_share(root=tmp_path) == 1.5

    def test_a_v1_quota(self, tmp_path: Path) -> None:
        write(tmp_path / "proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n")
        folder = tmp_path / "sys/fs/cgroup/cpu/docker/abc"
        write(folder / "cpu.cfs_quota_us", "50000\n")
        write(folder / "cpu.cfs_period_us", "100000\n")
        assert resources.cpu_share(root=tmp_path) == 0.5

    def test_no_v1_quota_is_written_as_minus_one(self, tmp_path: Path) -> None:
        write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
        write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
        assert resources.cpu_share(root=tmp_path) == 2

    def test_a_quota_cannot_exceed_the_affinity(self, tmp_path: Path) -> None:
        write(tmp_path / "sys/fs/cgroup/cpu.max", "800000 100000\n")
        assert resources.cpu_share(root=tmp_path) == 2

    def test_the_memory_size_counts_where_no_quota_is_visible(self, tmp_path: Path) -> None:
        assert resources.cpu_share(memory_mb=1769, root=tmp_path) == 1
        write(tmp_path / "sys/fs/cgroup/cpu.max", "150000 100000\n")
        assert resources.cpu_share(memory_mb=1769, root=tmp_path) == 1.5


def test_threads_are_the_override_or_the_rounded_share(monkeypatch: pytest.MonkeyPatch) -> None:
    for share, expected in ((0.58, 1), (1.16, 1), (1.74, 2), (2.32, 2), (2.89, 3), (3.47, 3)):
        monkeypatch.setattr(resources, "cpu_share", lambda _, share=share: share)
        assert resources.threads() == expected
    assert resources.threads(wanted=7) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="affinity masks are Linux's")
def test_every_thread_of_a_loaded_model_stays_in_the_affinity_mask() -> None:
    code = """
import os, pathlib
from model_handler import Handler, Limits, artifacts
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
handler = Handler(artifacts.default_dir(), Limits(threads=2))
handler.predict(["good"])
masks = {
    line.split()[1]
    for status in pathlib.Path("/proc/self/task").glob("*/status")
    for line in status.read_text().splitlines()
    if line.startswith("Cpus_allowed:")
}
print(len(masks))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "1\n"


def test_the_kind_of_cpu_names_what_int8_kernels_depend_on(tmp_path: Path) -> None:
    write(tmp_path / "proc/cpuinfo", "processor : 0\nflags : fpu avx512_vnni sse avx2\nbugs :\n")
    assert resources.cpu_kind(tmp_path).endswith("-avx2-avx512_vnni")
    write(tmp_path / "proc/cpuinfo", "Features : fp asimddp i8mm\n")
    assert resources.cpu_kind(tmp_path).endswith("-asimddp-i8mm")


def test_the_memory_limit_is_the_tightest_of_all_groups(tmp_path: Path) -> None:
    assert resources.cgroup_memory(tmp_path) is None
    write(tmp_path / "proc/self/cgroup", "0::/pods/mine\n5:memory:/docker/abc\n")
    write(tmp_path / "sys/fs/cgroup/pods/memory.max", "2147483648\n")
    write(tmp_path / "sys/fs/cgroup/pods/mine/memory.max", "max\n")
    assert resources.cgroup_memory(tmp_path) == 2 * 2**30
    write(tmp_path / "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "1073741824\n")
    write(tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert resources.cgroup_memory(tmp_path) == 2**30


def test_threads_follow_the_memory_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(resources, "cgroup_cpus", lambda _: None)
    assert [resources.threads(memory_mb=size) for size in (1024, 3072, 6144)] == [1, 2, 3]
    assert resources.threads() == 64


@pytest.mark.parametrize(("counted", "share"), [(8, 8), (None, 1)])
def test_without_affinity_masks_all_cpus_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, counted: int | None, share: int
) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert resources.cpu_share(root=tmp_path) == share


def test_an_affinity_mask_counts_for_more_than_the_cpus_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert resources.cpu_share(root=tmp_path) == 1


def test_the_kind_of_cpu_is_that_of_the_machine_where_nothing_tells_more(tmp_path: Path) -> None:
    assert resources.cpu_kind(tmp_path) == os.uname().machine
    write(tmp_path / "proc/cpuinfo", "processor : 0\nmodel name : avx2\n")
    assert resources.cpu_kind(tmp_path) == os.uname().machine


def test_libraries_are_told_their_threads_whatever_the_environment_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {"OMP_NUM_THREADS": "64", "TOKENIZERS_PARALLELISM": "true", "HOME": "/"}
    monkeypatch.setattr(os, "environ", told)
    resources.configure_libraries(3)
    assert told == {
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "ORT_DISABLE_TELEMETRY": "1",
        "HOME": "/",
    }


def test_the_memory_size_is_the_limit_where_no_cgroup_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources, "cgroup_memory", lambda: None)
    assert resources.read(2, memory_mb=1024) == Limits(threads=2, memory=2**30)
    assert resources.read(2) == Limits(threads=2, memory=None)
    monkeypatch.setattr(resources, "cgroup_memory", lambda: 2**29)
    assert resources.read(2, memory_mb=1024).memory == 2**29
