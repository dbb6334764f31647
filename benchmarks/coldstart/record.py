"""Record which pages of libraries a start touches, for the order that they have in the image.

`python -m benchmarks.coldstart.record`, once another version of a library is pinned. It takes root.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from pathlib import Path

from benchmarks.coldstart import blocks
from benchmarks.harness import cpu_kind, page_cache, subjects
from requirements import library_order

# Of smaller ones no block would be saved.
LEAST = 2 * page_cache.BLOCK


def main() -> None:
    """Start both models, and write down what is touched by either."""
    if cpu_kind.kind() != cpu_kind.AVX2:
        cpu_kind.become(cpu_kind.AVX2, [sys.executable, "-m", "benchmarks.coldstart.record"])
    packages = Path(sysconfig.get_path("platlib"))
    models = subjects.prepare(subjects.DEFAULT_MODEL, subjects.CHECKPOINT, None)
    found: dict[str, library_order.Recorded] = {}
    for subject in (models.ours, models.default):
        libraries = [file for file in blocks.opened(subject).files if _is_large(file, packages)]
        touched = blocks.after_start(subject, libraries, page_cache.pages)
        for file, pages in zip(libraries, touched, strict=True):
            name = file.relative_to(packages).as_posix()
            before = found[name].pages if name in found else frozenset()
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            found[name] = library_order.Recorded(digest, before.union(pages))
    library_order.write({name: each for name, each in found.items() if each.pages})


def _is_large(file: Path, packages: Path) -> bool:
    return file.is_relative_to(packages) and ".so" in file.suffixes and file.stat().st_size >= LEAST


if __name__ == "__main__":
    main()
