"""Fetch model artifacts from S3 into a directory that any container can read.

Nothing is written outside of that directory, whatever an archive says.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from platform_facts import DISK_GB
from rehearse.errors import ArtifactError, one_line

DISK_BYTES = DISK_GB << 30
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# The bucket in the name of the host, or else first in the path. ModelDataUrl may be such an
# address (the pattern of Url in botocore's service model).
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
HTTPS_HOST = re.compile(r"(?:(.+)\.)?s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")


def source(container: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return where CreateModel says that the artifacts lie, and whether in a .tar.gz; or None.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
    """
    if url := container.get("ModelDataUrl"):
        return url, True
    if found := container.get("ModelDataSource", {}).get("S3DataSource"):
        return found["S3Uri"], found.get("CompressionType", "None") == "Gzip"
    return None


def exists(s3: Any, url: str) -> bool:
    """Return whether there is an object of that name, or one whose name begins so."""
    bucket, key = split(url)
    return bool(keys(s3, bucket, key, most=1))


def fetch(s3: Any, url: str, packed: bool, directory: Path) -> None:
    """Fetch the artifacts into an empty directory; `s3` is a boto3 client."""
    bucket, key = split(url)
    found = keys(s3, bucket, key)
    if not found or (packed and key not in found):
        raise ArtifactError(missing(url))
    if packed:
        with tempfile.TemporaryFile() as archive:
            s3.download_fileobj(bucket, key, archive)
            archive.seek(0)
            unpack(archive, directory, url)
    else:
        for each in found:
            name = each.removeprefix(key).lstrip("/") or PurePosixPath(each).name
            if not each.endswith("/"):
                s3.download_file(bucket, each, str(place(directory, name)))
    _protect(directory)


def missing(url: str) -> str:
    """Return what CreateModel says of artifacts that are not there.

    Seen in https://github.com/aws/amazon-sagemaker-examples/issues/4479
    """
    return f"Could not find model data at {url}."


def unpack(archive: IO[bytes], directory: Path, name: str) -> None:
    """Unpack a .tar.gz into an empty directory; `name` is what errors call it."""
    total = 0

    def admit(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        nonlocal total
        total += member.size
        if total > DISK_BYTES:
            raise ArtifactError(f"{name} unpacks to more than the {DISK_GB} GB of disk")
        # Refuses absolute paths, "..", devices, and links that lead out:
        # https://docs.python.org/3/library/tarfile.html#tarfile.data_filter
        return tarfile.data_filter(member, path)

    try:
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            tar.errorlevel = 2  # what cannot be written is an error, not a line in a debug log
            tar.extractall(directory, filter=admit)
            # The checksum comes after what tar reads.
            while tar.fileobj and tar.fileobj.read(1 << 20):
                pass
    except tarfile.FilterError as error:
        raise ArtifactError(f"{name} is refused: {one_line(error)}") from error
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ArtifactError(f"{name} is not a whole .tar.gz: {one_line(error)}") from error


def remove(directory: Path) -> None:
    """Delete a tree that fetch() has closed for writing."""
    for path in (directory, *directory.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(directory, ignore_errors=True)


def split(url: str) -> tuple[str, str]:
    """Return bucket and key of s3://BUCKET/KEY, or of an https:// address of S3."""
    try:
        parts = urlsplit(url, allow_fragments=False)
    except ValueError as error:
        raise ArtifactError(f"{url} is no address of S3: {error}") from error
    bucket, key = parts.netloc, parts.path.removeprefix("/")
    if parts.scheme == "https" and (host := HTTPS_HOST.fullmatch(bucket)):
        key = unquote(key)
        bucket, _, key = (host[1], "", key) if host[1] else key.partition("/")
    elif parts.scheme != "s3":
        bucket = ""
    if not BUCKET.fullmatch(bucket):
        raise ArtifactError(
            f"{url} is no address of S3; use s3://BUCKET/KEY, or the https:// address of S3"
        )
    return bucket, key.lstrip("/")


def keys(s3: Any, bucket: str, prefix: str, most: int | None = None) -> list[str]:
    """Return the names of objects that begin so, sorted; none where there is no such bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"MaxItems": most}
    )
    try:
        return sorted(each["Key"] for page in pages for each in page.get("Contents", []))
    except s3.exceptions.NoSuchBucket:
        return []


def place(directory: Path, name: str) -> Path:
    """Return where an object below a prefix goes; raise ArtifactError where that is elsewhere."""
    if ".." in PurePosixPath(name).parts:
        raise ArtifactError(f"the object {name} would leave the directory that it goes to")
    target = directory / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _protect(directory: Path) -> None:
    """Make a tree readable for every user and writable for none, as /opt/ml/model is.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    """
    for path in (*directory.rglob("*"), directory):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o555 if runs else 0o444)
