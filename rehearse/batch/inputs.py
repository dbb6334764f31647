"""The input of a transform job in, the objects that it names out, each with the name of its output.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TransformInput.html
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from rehearse.data_plane import artifacts

# https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-errors.html: "Bad HTTP status
# returned from endpoint" is in the data log; the reason of a job is no more than this.
REASON = "{kind}: See job logs for more information"


class TransformError(Exception):
    """A job has failed; the message is its FailureReason, `detail` goes to its data log."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(REASON.format(kind=kind))
        self.detail = detail


def objects(s3: Any, given: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Bucket and key of every object, and where its answers go below S3OutputPath."""
    source = given["DataSource"]["S3DataSource"]
    bucket, key = artifacts.split(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        bucket, key, keys = _manifest(s3, bucket, key)
    else:
        keys = artifacts.keys(s3, bucket, key)
    if not keys:
        raise TransformError("ClientError", f"{source['S3Uri']} names no object")
    # Outputs keep the folders below the prefix.
    folder = key if key.endswith("/") else str(PurePosixPath(key).parent).rstrip("./") + "/"
    folder = folder.lstrip("/")
    wanted = [each for each in keys if not each.endswith("/")]
    return [(bucket, each, each.removeprefix(folder) + ".out") for each in wanted]


def _manifest(s3: Any, bucket: str, key: str) -> tuple[str, str, list[str]]:
    """Bucket, prefix and keys.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    found = read(s3, bucket, key)
    try:
        first, *names = json.loads(found)
        bucket, prefix = artifacts.split(first["prefix"])
        return bucket, prefix, [prefix + name for name in names]
    except (ValueError, LookupError, TypeError, artifacts.ArtifactError) as error:
        raise TransformError(
            "ClientError", f'{key} is not a manifest, [{{"prefix": "s3://..."}}, "name", ...]'
        ) from error


def read(s3: Any, bucket: str, key: str, packed: bool = False) -> bytes:
    """An object, unpacked."""
    try:
        found: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.ClientError as error:
        raise TransformError("ClientError", f"s3://{bucket}/{key}: {error}") from error
    if not packed:
        return found
    try:
        return gzip.decompress(found)
    except (OSError, EOFError, zlib.error) as error:
        raise TransformError("ClientError", f"{key} is not gzip: {error}") from error
