"""Read the input of a transform job from S3, cut it into payloads, and put the answers together.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TransformInput.html
How records are cut and packed is told by AWS's own local mode: class LineSplitter,
MultiRecordStrategy and SingleRecordStrategy in
https://github.com/aws/sagemaker-python-sdk/blob/v2.257.7/src/sagemaker/local/data.py
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from platform_facts import MEGABYTE
from rehearse.data_plane import artifacts
from rehearse.errors import ArtifactError, TransformError


def input_objects(s3: Any, given: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return bucket and key of every object, and where its answers go below S3OutputPath."""
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
    """Return bucket, prefix and keys that a manifest names.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    found = read_object(s3, bucket, key)
    try:
        first, *names = json.loads(found)
        bucket, prefix = artifacts.split(first["prefix"])
        return bucket, prefix, [prefix + name for name in names]
    except (ValueError, LookupError, TypeError, ArtifactError) as error:
        raise TransformError(
            "ClientError", f'{key} is not a manifest, [{{"prefix": "s3://..."}}, "name", ...]'
        ) from error


def read_object(s3: Any, bucket: str, key: str, compressed: bool = False) -> bytes:
    """Return an object, decompressed if it is said to be gzip."""
    try:
        found: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.ClientError as error:
        raise TransformError("ClientError", f"s3://{bucket}/{key}: {error}") from error
    if not compressed:
        return found
    try:
        return gzip.decompress(found)
    except (OSError, EOFError, zlib.error) as error:
        raise TransformError("ClientError", f"{key} is not gzip: {error}") from error


def payloads(
    body: bytes, split_type: str, strategy: str, largest: int, name: str
) -> Iterator[bytes]:
    """Cut an object into payloads, none larger than `largest` bytes, where that is not 0.

    `name` is what errors call the object; raises TransformError.
    """
    if split_type == "None":
        records: Iterable[bytes] = [body] if body else []
    elif split_type == "Line":
        # Bytes are cut at \n alone: str.splitlines() would cut inside records (U+2028).
        records = (line + b"\n" for line in body.split(b"\n") if line.strip())
    else:
        raise TransformError(
            "ClientError", f"{name}: SplitType {split_type} is not imitated; use Line or None"
        )
    fitting = (_checked(record, largest, name) for record in records)
    yield from fitting if strategy == "SingleRecord" else _packed(fitting, largest)


def _checked(record: bytes, largest: int, name: str) -> bytes:
    if largest and len(record) > largest:
        raise TransformError(
            "ClientError",
            f"{name}: a record of {len(record)} bytes is larger than MaxPayloadInMB "
            f"{largest // MEGABYTE}",
        )
    return record


def _packed(records: Iterable[bytes], largest: int) -> Iterator[bytes]:
    """Join as many records as a payload holds."""
    waiting: list[bytes] = []
    size = 0
    for record in records:
        if waiting and largest and size + len(record) > largest:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(record)
        size += len(record)
    if waiting:
        yield b"".join(waiting)


def assemble(answers: Iterable[bytes], assemble_with: str) -> bytes:
    """Return the output object: Line adds a newline after each answer, None adds nothing.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TransformOutput.html
    """
    ending = b"\n" if assemble_with == "Line" else b""
    return b"".join(answer + ending for answer in answers)
