"""pack-model writes all or nothing, and finds what is in the way before it starts."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from compress.pack import main
from tests.conftest import ROOT


def stopped(
    arguments: Sequence[object], step: str, number: signal.Signals, module: str = "compress.pack"
) -> tuple[int, str]:
    """Return exit code and last line of a command that gets a signal once it says a step."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    said = ""
    while f"{step} ... " not in said:
        found = process.stderr.read(1)
        assert found, f"ended before: {said}"
        said += found
    process.send_signal(number)
    said += process.communicate(timeout=60)[1]
    return process.returncode, said.splitlines()[-1]


@pytest.mark.parametrize(
    ("step", "number", "code"),
    [
        ("open the checkpoint", signal.SIGINT, 130),
        ("export", signal.SIGTERM, 143),
        ("validate with 20,000 texts", signal.SIGHUP, 129),
    ],
)
def test_a_signal_leaves_nothing_behind(
    tmp_path: Path, checkpoint: Path, step: str, number: signal.Signals, code: int
) -> None:
    place, texts = tmp_path / "place", tmp_path / "texts.jsonl"
    place.mkdir()
    texts.write_text('{"text": "good"}\n' * 20_000)
    arguments = [checkpoint, place / "a" / "out", "--archive", place / "b" / "model.tar.gz"]
    found = stopped([*arguments, "--validate", texts], step, number)
    assert found == (code, f"pack-model: stopped by {number.name}; nothing is left behind")
    assert list(place.iterdir()) == []


def test_a_signal_leaves_a_packed_folder_as_it_is_and_no_partial_archive(
    tmp_path: Path, packed: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(packed, copy)
    (copy / "code").mkdir()
    (copy / "code" / "large.bin").write_bytes(random.Random(1).randbytes(60_000_000))
    before = sorted(path.name for path in copy.iterdir())
    arguments = ["--prepack-only", copy, "--archive", tmp_path / "model.tar.gz"]
    code, line = stopped([*arguments], "write the archive", signal.SIGTERM)
    assert (code, line) == (143, "pack-model: stopped by SIGTERM; nothing is left behind")
    assert sorted(path.name for path in copy.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_nohup_is_obeyed() -> None:
    script = (
        "import signal, os, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "from compress import interrupts\n"
        "with interrupts.raised(): os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('goes on')"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert found.stdout == "goes on\n"


@pytest.fixture
def small_disk(tmp_path: Path, packed: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Mount a disk that holds a part of the packed model, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    size = int(request.param * sum(path.stat().st_size for path in packed.iterdir()))
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may mount nothing")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("small_disk", [0.05, 0.4, 0.7, 0.9, 1.0], indirect=True)
def test_a_full_disk_is_said_with_the_path_and_nothing_is_left(
    small_disk: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "deep" / "out"
    with pytest.raises(SystemExit) as stop:
        main([str(checkpoint), str(out)])
    assert stop.value.code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"pack-model: {out} cannot be written: the disk is full")
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("small_disk", [0.2], indirect=True)
def test_a_disk_too_small_for_the_archive_keeps_the_folder_away_too(
    small_disk: Path, tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = small_disk / "model.tar.gz"
    with pytest.raises(SystemExit):
        main([str(checkpoint), str(tmp_path / "out"), "--archive", str(bundle)])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"pack-model: {bundle} cannot be written: the disk is full")
    assert list(small_disk.iterdir()) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("small_disk", [20.0], indirect=True)
def test_a_folder_where_a_disk_is_mounted_can_be_written(
    small_disk: Path, checkpoint: Path
) -> None:
    main([str(checkpoint), str(small_disk)])
    assert (small_disk / "manifest.json").exists()
    assert not any(path.name.startswith(".") for path in small_disk.iterdir())


def test_a_limit_on_the_size_of_files_is_said_with_the_path(
    tmp_path: Path, checkpoint: Path
) -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "from compress.pack import main; main(sys.argv[1:])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(checkpoint), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert found.returncode == 1
    assert f"{tmp_path / 'out'} cannot be written: " in found.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_is_found_before_any_work(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, file, target = tmp_path / "out", tmp_path / "file", tmp_path / "target"
    file.touch()
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    before = sorted(tmp_path.rglob("*"))
    for arguments, message in (
        ([out, "--archive", out / "model.tar.gz"], "is to be the archive"),
        ([out, "--archive", target / ".." / "out" / "model.tar.gz"], "is to be the archive"),
        ([target, "--archive", target / "model.tar.gz"], "is to be the archive"),
        ([out / "deep", "--archive", out], "lies in it"),
        ([out, "--archive", target], "exists and is not a file"),
        ([out, "--archive", "/dev/null"], "exists and is not a file"),
        ([out, "--archive", file / "model.tar.gz"], "cannot be written"),
        ([out, "--archive", tmp_path / ("x" * 250)], "cannot be written: File name too long"),
        ([out, "--archive", "/proc/model.tar.gz"], "/proc cannot be written"),
        ([tmp_path / "link"], "is a link; name the folder itself"),
        ([tmp_path / "dangling"], "is a link; name the folder itself"),
        ([file / "out"], "cannot be written"),
        (["/proc/out"], "/proc/out cannot be written"),
        ([tmp_path / ("x" * 300)], "File name too long"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([str(checkpoint), *map(str, arguments)])
        said = capsys.readouterr().err
        assert stop.value.code == 1
        assert message in said.splitlines()[-1]
        assert "open the checkpoint" not in said
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_that_is_there_is_filled_and_kept_when_packing_fails(
    tmp_path: Path, checkpoint: Path
) -> None:
    out, texts = tmp_path / "out", tmp_path / "texts.jsonl"
    out.mkdir(mode=0o750)
    texts.write_text('{"wrong": 1}')
    with pytest.raises(SystemExit):
        main([str(checkpoint), str(out), "--validate", str(texts)])
    assert list(out.iterdir()) == []
    main([str(checkpoint), str(out)])
    assert (out / "manifest.json").exists()
    assert out.stat().st_mode & 0o777 == 0o750


def test_only_what_the_model_consists_of_goes_into_an_archive(
    tmp_path: Path, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, bundle = tmp_path / "copy", tmp_path / "model.tar.gz"
    shutil.copytree(packed, copy)
    (copy / ".env").write_text("SECRET=1")
    (copy / "notes").mkdir()
    for name in ("inference.py", "lib/more.py", ".env", "__pycache__/inference.pyc"):
        path = copy / "code" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("# code")
    (copy / "code" / "link.py").symlink_to("/etc/passwd")
    main(["--prepack-only", str(copy), "--archive", str(bundle)])
    with tarfile.open(bundle) as found:
        names = set(found.getnames())
    inside = {path.name for path in packed.iterdir()} | {"code/inference.py", "code/lib/more.py"}
    assert names == inside
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("left out of the archive: .env, code/.env, ")
    assert "notes" in said
    assert "code/link.py" in said
    with pytest.raises(SystemExit):
        main(["--prepack-only", str(copy), "--archive", str(copy / "model.tar.gz")])
    assert "is to be the archive" in capsys.readouterr().err
