"""The object of a transform job in, payloads out; answers of the container in, the object out.

How records are cut and packed is told by AWS's own local mode: class LineSplitter,
MultiRecordStrategy and SingleRecordStrategy in
https://github.com/aws/sagemaker-python-sdk/blob/v2.257.7/src/sagemaker/local/data.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MEGABYTE = 1024 * 1024


class SplitError(Exception):
    """The object cannot be cut as the job wants it; the message is one line."""


def payloads(body: bytes, split: str, strategy: str, most: int) -> Iterator[bytes]:
    """What is sent, request by request: none larger than `most` bytes, where that is not 0."""
    if split == "None":
        records: Iterable[bytes] = [body] if body else []
    elif split == "Line":
        # Bytes are cut at \n alone: str.splitlines() would cut inside records (U+2028).
        records = (line + b"\n" for line in body.split(b"\n") if line.strip())
    else:
        raise SplitError(f"SplitType {split} is not imitated; use Line or None")
    if strategy == "SingleRecord":
        for record in records:
            yield _fitting(record, most)
    else:
        yield from _packed(records, most)


def assemble(answers: Iterable[bytes], how: str) -> bytes:
    """The output object. AssembleWith Line adds a newline after each answer, None adds nothing.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TransformOutput.html
    """
    ending = b"\n" if how == "Line" else b""
    return b"".join(answer + ending for answer in answers)


def _packed(records: Iterable[bytes], most: int) -> Iterator[bytes]:
    """As many records in a payload as it holds."""
    waiting: list[bytes] = []
    size = 0
    for record in records:
        _fitting(record, most)
        if waiting and most and size + len(record) > most:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(record)
        size += len(record)
    if waiting:
        yield b"".join(waiting)


def _fitting(record: bytes, most: int) -> bytes:
    if most and len(record) > most:
        raise SplitError(
            f"a record of {len(record)} bytes is larger than MaxPayloadInMB {most // MEGABYTE}"
        )
    return record
