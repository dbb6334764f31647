"""A packed directory in, a SageMaker model.tar.gz out."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path


def write(directory: Path, target: Path) -> None:
    """Write a deterministic archive, the files at its root as SageMaker expects them.

    Same files, same bytes: names sorted, no times, no owners.
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    """
    partial = target.with_name(target.name + ".partial")
    try:
        with (
            partial.open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for path in sorted(directory.iterdir()):
                entry = tarfile.TarInfo(path.name)
                entry.size = path.stat().st_size
                entry.mode = 0o644
                with path.open("rb") as content:
                    archive.addfile(entry, content)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
