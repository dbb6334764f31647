"""A checkpoint directory in, a packed model directory out: the console script pack-model."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from compress import archive, card, graph, prepack, probe, quantise, tokenizer
from model_handler import ModelError, artifacts, cpu, limits
from model_handler import manifest as manifests
from model_handler.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np

    from model_handler.engines import Model

GRAPH = "model.onnx"


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
    """Export, fuse, quantise, check, and only then put the result at `out`.

    Returns the largest change of a logit on the probe texts. Raises ModelError when the checkpoint
    cannot be opened, DriftError when the result answers differently; `out` is then untouched.
    """
    from transformers import AutoModelForSequenceClassification

    from model_handler.engines import torch_engine

    if not checkpoint.is_dir():
        raise ArtifactError(f"{checkpoint} is not a directory; name one with a checkpoint")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ArtifactError(f"{out} exists and is not an empty directory; name a new one")
    artifacts.check_checkpoint(checkpoint, sorted(checkpoint.iterdir()))
    say("open the checkpoint")
    original = torch_engine.open_model(checkpoint, limits.Limits(cpu.threads()))
    expected = probe.logits(original)
    with _beside(out) as (made, scratch):
        say("export")
        # "eager" attention is the form that the fusions below can recognise.
        model = AutoModelForSequenceClassification.from_pretrained(
            checkpoint, attn_implementation="eager", local_files_only=True, weights_only=True
        ).eval()
        graph.export(model, scratch / "exported.onnx")
        say("fuse")
        heads, hidden = model.config.num_attention_heads, model.config.hidden_size
        graph.fuse(scratch / "exported.onnx", scratch / "fused.onnx", heads, hidden)
        say("quantise")
        quantise.quantise(scratch / "fused.onnx", scratch / "quantised.onnx")
        graph.save(scratch / "quantised.onnx", made / GRAPH)
        tokenizer.save(original.tokenizer, made / "tokenizer.json")
        say("check")
        drift = _finish(made, original, checkpoint, model.config.model_type, expected)
        if not portable_only:
            say("pre-pack for this CPU")
            prepack.add(made)
        return drift


def _finish(
    made: Path, original: Model, checkpoint: Path, architecture: str, expected: np.ndarray
) -> float:
    """Compare the graph with the checkpoint and write the manifest and the card."""
    from model_handler.engines import onnx_engine

    session = onnx_engine.open_session(made / GRAPH, limits.Limits(cpu.threads()))
    found = probe.logits(original, lambda batch: onnx_engine.run(session, batch))
    drift = probe.check(expected, found)
    manifest = manifests.Manifest(
        labels=original.labels,
        problem_type=original.problem_type,
        max_length=original.max_length,
        pad_id=original.pad_id,
        graph=GRAPH,
        files=manifests.describe(*sorted(made.iterdir())),
        source={"checkpoint": checkpoint.resolve().name, "architecture": architecture}
        | {tool: metadata.version(tool) for tool in ("torch", "transformers", "onnxruntime")},
        probe_texts=probe.TEXTS,
        probe_logits=tuple(tuple(round(float(x), 5) for x in row) for row in found),
        tolerance=probe.ROUNDING,
    )
    manifest.write(made)
    card.write(made, manifest, checkpoint, drift)
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
