"""The console script pack-model: make a packed model directory of a checkpoint."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from compress import archive, convert, prepack, probe
from model_handler import ModelError
from model_handler.errors import ArtifactError


def main(argv: list[str] | None = None) -> None:
    """The command line: see --help. Exits with 1 and one line when the model cannot be packed."""
    parser = argparse.ArgumentParser(
        prog="pack-model",
        description="Turn a Hugging Face sequence-classification checkpoint into a small, fast, "
        "checked model directory for serving.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, nargs="?", help="folder with config.json and weights")
    add("out", type=Path, nargs="?", help="folder to write; must not exist or be empty")
    add("--archive", type=Path, metavar="model.tar.gz", help="also write this")
    add(
        "--prepack-only",
        type=Path,
        metavar="DIR",
        help="add weights in the layout of this machine's CPU to a folder that is packed already",
    )
    add(
        "--portable-only",
        action="store_true",
        help="leave those weights out, for 40 %% of the size; the server then packs its own",
    )
    options = parser.parse_args(argv)
    out = options.prepack_only or options.out
    if (options.prepack_only is None) == (options.out is None):
        parser.error("name a checkpoint and a folder to write, or --prepack-only and a folder")
    try:
        if options.prepack_only:
            done = f"weights for {prepack.add(out).cpu} added"
        else:
            drift = pack(options.checkpoint, out, _say, portable_only=options.portable_only)
            done = f"logits within {drift:.3f} of the checkpoint's"
        if options.archive:
            options.archive.parent.mkdir(parents=True, exist_ok=True)
            archive.write(out, options.archive)
    except (ModelError, probe.DriftError, OSError, ImportError) as error:
        print(f"pack-model: {error}", file=sys.stderr)
        sys.exit(1)
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{out}: {size / 1e6:.1f} MB, {done}")


def _say(step: str) -> None:
    print(step, file=sys.stderr)


def pack(
    checkpoint: Path, out: Path, say: Callable[[str], None], portable_only: bool = False
) -> float:
    """Convert a checkpoint, check the result, and only then put it at `out`.

    Returns the largest change of a logit on the probe texts. Raises ModelError when the checkpoint
    cannot be opened, DriftError when the result answers differently; `out` is then untouched.
    """
    if not checkpoint.is_dir():
        raise ArtifactError(f"{checkpoint} is not a directory; name one with a checkpoint")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ArtifactError(f"{out} exists and is not an empty directory; name a new one")
    with _beside(out) as (made, scratch):
        drift = convert.convert(checkpoint, made, scratch, say)
        if not portable_only:
            say("pre-pack for this CPU")
            prepack.add(made)
        return drift


@contextmanager
def _beside(out: Path) -> Iterator[tuple[Path, Path]]:
    """Two scratch folders beside `out`; the first becomes `out` if all goes well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pack-model-", dir=out.parent) as folder:
        made, scratch = Path(folder) / "made", Path(folder) / "scratch"
        made.mkdir()
        scratch.mkdir()
        yield made, scratch
        if out.exists():
            out.rmdir()
        made.rename(out)


if __name__ == "__main__":
    main()
