"""manifest.json of a packed model: written by pack-model, read at load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model_handler.errors import ArtifactError
from model_handler.labels import Label

NAME = "manifest.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """What a packed model is, and how to tell that it is whole and right.

    `files` maps each other file's name to its sha256; `probe_logits` are the packed model's own
    answers to `probe_texts`; `source` names the checkpoint, its architecture and the tools.
    """

    labels: tuple[Label, ...]
    max_length: int
    pad_id: int
    graph: str
    files: dict[str, str]
    source: dict[str, str]
    probe_texts: tuple[str, ...]
    probe_logits: tuple[tuple[float, ...], ...]
    tolerance: float
    format_version: int = FORMAT_VERSION

    def write(self, directory: Path) -> None:
        """Write manifest.json into a directory."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"
        (directory / NAME).write_text(text, encoding="utf-8")


def read(directory: Path) -> Manifest:
    """Read manifest.json and check its format; raises ArtifactError with the reason."""
    path = directory / NAME
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        version = fields["format_version"]
        if version != FORMAT_VERSION:
            raise ArtifactError(
                f"{path} has format version {version}, this server reads {FORMAT_VERSION}: "
                "pack the model again with this version's pack-model"
            )
        fields["labels"] = tuple(fields["labels"])
        fields["probe_texts"] = tuple(fields["probe_texts"])
        fields["probe_logits"] = tuple(map(tuple, fields["probe_logits"]))
        return Manifest(**fields)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is not a manifest of pack-model: {error}") from error


def verify(directory: Path, manifest: Manifest) -> None:
    """Compare each file with its sha256; raises ArtifactError that names the first bad one."""
    for name, expected in manifest.files.items():
        path = directory / name
        if Path(name).name != name:
            raise ArtifactError(f"{directory / NAME} names a file outside its directory: {name}")
        try:
            found = sha256(path)
        except OSError as error:
            raise ArtifactError(
                f"{path} cannot be read: {error.strerror}; the model is incomplete, pack it again"
            ) from error
        if found != expected:
            raise ArtifactError(
                f"{path} is damaged: its sha256 is {found[:12]}, the manifest says "
                f"{expected[:12]}; copy or pack the model again"
            )


def sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
