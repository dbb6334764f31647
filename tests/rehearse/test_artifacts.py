"""Model archives are unpacked, or refused in one line."""

from __future__ import annotations

import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from rehearse.data_plane import artifacts
from rehearse.errors import ArtifactError


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> BytesIO:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for info, body in members:
            info.size = len(body)
            archive.addfile(info, BytesIO(body))
    out.seek(0)
    return out


def file(name: str, body: bytes = b"x", mode: int = 0o600) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.mode = mode
    return info, body


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


@pytest.mark.parametrize(
    "member",
    [
        file("../out"),
        file("a/../../out"),
        link("out", "/etc/passwd", tarfile.SYMTYPE),
        link("out", "../../out", tarfile.SYMTYPE),
        link("out", "/etc/passwd", tarfile.LNKTYPE),
        link("null", "", tarfile.CHRTYPE),
    ],
    ids=lambda member: f"{member[0].name} {member[0].linkname}",
)
def test_nothing_escapes(tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ArtifactError, match=r"^s3://b/m is refused: [^\n]*$"):
        artifacts.unpack(tar(file("good"), member), inside, "s3://b/m")
    assert {path.name for path in tmp_path.iterdir()} == {"inside"}


@pytest.mark.parametrize(
    "body", [b"", b"no archive", b"\x1f\x8b\x08\x00cut", tar(file("a", b"x" * 9999)).read()[:60]]
)
def test_a_corrupt_archive_is_one_line(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"^s3://b/m is not a whole \.tar\.gz: [^\n]+$"):
        artifacts.unpack(BytesIO(body), tmp_path, "s3://b/m")


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    body = bytearray(tar(file("a", os.urandom(5000))).read())
    body[-6] ^= 0xFF  # of the checksum
    with pytest.raises(ArtifactError, match="is not a whole"):
        artifacts.unpack(BytesIO(bytes(body)), tmp_path, "s3://b/m")


def test_more_than_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "DISK_BYTES", 1000)
    with pytest.raises(ArtifactError, match="unpacks to more than"):
        artifacts.unpack(tar(file("a", b"x" * 600), file("b", b"x" * 600)), tmp_path, "s3://b/m")


def test_addresses_are_of_s3() -> None:
    assert artifacts.split("s3://bucket/a/b#c.tar.gz") == ("bucket", "a/b#c.tar.gz")
    for host in ("s3", "s3.us-east-1", "s3-eu-west-1", "s3.dualstack.us-east-1"):
        for address in (f"{host}.amazonaws.com/my.bucket", f"my.bucket.{host}.amazonaws.com"):
            assert artifacts.split(f"https://{address}/a/b%20c.gz") == ("my.bucket", "a/b c.gz")
    for wrong in ("http://bucket/a", "s3://", "a/b", "https://bucket.example.com/a"):
        with pytest.raises(ArtifactError, match="is no address of S3"):
            artifacts.split(wrong)
