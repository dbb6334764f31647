"""Write and read manifest.json of a packed model, and check the files that it names."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from model_handler import jsonfile
from model_handler.errors import ArtifactError
from model_handler.outputs import Label, ProblemType
from model_handler.tokens import Pairs

NAME = "manifest.json"
FORMAT_VERSION = 4
# Version 3 has neither CRC-32 nor `early`.
READABLE = (3, FORMAT_VERSION)
# Files up to this size are checked before the first prediction, at a cost of a millisecond. Only
# weights are larger; those go through the probe then. All are hashed after it.
SMALL = 8_000_000
# A hash beside requests: after a piece of a millisecond or two, a pause of several times as long.
PIECE = 2 * 1024 * 1024
PAUSES = 4


class File(NamedTuple):
    """What a file must be: its size in bytes, its sha256 in hexadecimal, and its CRC-32.

    The CRC-32, which a manifest may lack, tells damage without OpenSSL, whose library is 5 MB and
    takes 4 ms to load.
    """

    size: int
    sha256: str
    crc32: int | None = None


class Prepacked(NamedTuple):
    """The same graph with its weights in the layout of one kind of CPU and one onnxruntime."""

    cpu: str
    onnxruntime: str
    graph: str
    files: dict[str, File]


class Early(NamedTuple):
    """What packed_tokenizer.py needs to know of a tokenizer, beside the file that tokie reads.

    Ids come `before` and `after` those of a text. `wordless` ids stand for no word. Texts with one
    of the `added` tokens in them are not plain. `direction`: the side that long texts are cut at.
    """

    file: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    wordless: tuple[int, ...]
    added: tuple[str, ...]
    direction: str


class Manifest(NamedTuple):
    """What a packed model is, and how to tell that it is whole and right.

    `graph` is portable. `probe_logits` are its own answers to `probe_texts`; on another CPU they
    differ by rounding only, and by `tolerance` at most. `source` names the checkpoint, its
    architecture and the tools. `equal_lengths` and `declared` are explained at engines.Model.
    `validation` has the figures of `pack-model --validate`, and what file they were taken on;
    `chain` has each step from the first source on, as compress/chain.py describes it.
    """

    labels: tuple[Label, ...]
    problem_type: ProblemType
    max_length: int
    pad_id: int
    graph: str
    files: dict[str, File]
    source: dict[str, str]
    probe_texts: tuple[str, ...]
    probe_logits: tuple[tuple[float, ...], ...]
    tolerance: float
    equal_lengths: bool = False
    pairs: Pairs = Pairs.TEXT_PAIR
    declared: bool = True
    prepacked: tuple[Prepacked, ...] = ()
    early: Early | None = None
    validation: Mapping[str, Any] | None = None
    chain: tuple[Mapping[str, Any], ...] = ()
    format_version: int = FORMAT_VERSION

    def write(self, directory: Path) -> None:
        """Write manifest.json into a directory, or replace the one that is there."""
        text = json.dumps(_fields(self), indent=1, ensure_ascii=False) + "\n"
        partial = directory / f".{NAME}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(directory / NAME)


def read(directory: Path) -> Manifest:
    """Read manifest.json and check its format; raises ArtifactError with the reason."""
    path = directory / NAME
    fields = jsonfile.read(path)
    try:
        version = fields["format_version"]
        if version not in READABLE:
            raise ArtifactError(
                f"{path} has format version {version}, this server reads "
                f"{' and '.join(map(str, READABLE))}: pack the model again with this version's "
                "pack-model"
            )
        fields["labels"] = tuple(fields["labels"])
        fields["problem_type"] = ProblemType(fields["problem_type"])
        fields["pairs"] = Pairs(fields["pairs"])
        fields["probe_texts"] = tuple(fields["probe_texts"])
        fields["probe_logits"] = tuple(map(tuple, fields["probe_logits"]))
        fields["files"] = _files(fields["files"])
        fields["prepacked"] = tuple(
            Prepacked(**{**found, "files": _files(found["files"])}) for found in fields["prepacked"]
        )
        fields["chain"] = tuple(fields.get("chain", ()))
        if fields.get("early") is not None:
            early = fields["early"]
            lists = {name: tuple(value) for name, value in early.items() if type(value) is list}
            fields["early"] = Early(**{**early, **lists})
        found = Manifest(**fields)
        _check_fields(found)
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} is not a manifest of pack-model: {error}") from error


def _check_fields(found: Manifest) -> None:
    """Raise ValueError if what is opened is not checked, or labels and logits do not fit."""
    packings: list[Manifest | Prepacked] = [found, *found.prepacked]
    for packing in packings:
        if packing.graph not in packing.files:
            raise ValueError(f"its graph {packing.graph} is not among its files")
    if found.early is not None and found.early.file not in found.files:
        raise ValueError(f"{found.early.file} is not among its files")
    if {len(row) for row in found.probe_logits} != {len(found.labels)}:
        raise ValueError(f"it has {len(found.labels)} labels, its probes have more or fewer logits")


def describe(*paths: Path) -> dict[str, File]:
    """Measure the size and the checksums of files, by their names."""
    return {path.name: File(path.stat().st_size, sha256(path), crc32(path)) for path in paths}


def glance(directory: Path, files: Mapping[str, File], later: str | None = None) -> None:
    """Check that files are there, have their sizes and, but for `later`, are whole if SMALL.

    Raises ArtifactError that names the first bad one.
    """
    _check_sizes(directory, files)
    for name, file in files.items():
        if file.size > SMALL or name == later:
            continue
        if file.crc32 is None:
            _check_sha256(directory / name, file)
        elif (found := crc32(directory / name)) != file.crc32:
            raise _damaged(directory / name, "CRC-32", f"{found:08x}", f"{file.crc32:08x}")


def verify(directory: Path, files: Mapping[str, File], gently: bool = False) -> None:
    """Check that files are there and whole; raises ArtifactError that names the first bad one.

    `gently` leaves most of the CPU to other threads, and takes several times as long.
    """
    _check_sizes(directory, files)
    for name, file in files.items():
        _check_sha256(directory / name, file, gently)


def _check_sizes(directory: Path, files: Mapping[str, File]) -> None:
    for name, file in files.items():
        path = directory / name
        if Path(name).name != name:
            raise ArtifactError(f"{directory / NAME} names a file outside its directory: {name}")
        try:
            size = path.stat().st_size
        except OSError as error:
            raise ArtifactError(
                f"{path} cannot be read: {error.strerror}; the model is incomplete, pack it again"
            ) from error
        if size != file.size:
            raise ArtifactError(
                f"{path} is damaged: it has {size:,} bytes, the manifest says {file.size:,}; copy "
                "or pack the model again"
            )


def _check_sha256(path: Path, file: File, gently: bool = False) -> None:
    found = sha256(path, gently)
    if found != file.sha256:
        raise _damaged(path, "sha256", found[:12], file.sha256[:12])


def _damaged(path: Path, kind: str, found: str, expected: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is damaged: its {kind} is {found}, the manifest says {expected}; copy or pack the "
        "model again"
    )


def crc32(path: Path) -> int:
    """Compute the CRC-32 of a file; raises ArtifactError if it cannot be read."""
    found = 0
    for piece in _pieces(path):
        found = zlib.crc32(piece, found)
    return found


def sha256(path: Path, gently: bool = False) -> str:
    """Compute the sha256 of a file, in hexadecimal; `gently` pauses for most of the time.

    Raises ArtifactError if the file cannot be read.
    """
    import hashlib

    # Seconds of the CPU: those of a clock go on while the platform freezes the process, and a pause
    # of several times as long would take hours.
    digest, began = hashlib.sha256(), time.thread_time()
    for piece in _pieces(path):
        digest.update(piece)
        # Not while the process ends: it waits for this thread.
        if gently and threading.main_thread().is_alive():
            time.sleep(PAUSES * (time.thread_time() - began))
        began = time.thread_time()
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while piece := stream.read(PIECE):
                yield piece
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error


def _fields(value: Any) -> Any:
    """Turn named tuples into dictionaries, also those inside of others."""
    if isinstance(value, Mapping):
        return {name: _fields(each) for name, each in value.items()}
    if isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        if names is not None:
            return {name: _fields(each) for name, each in zip(names, value, strict=True)}
        return [_fields(each) for each in value]
    return value


def _files(found: Mapping[str, Any]) -> dict[str, File]:
    return {name: File(**fields) for name, fields in found.items()}
