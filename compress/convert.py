"""Convert a checkpoint: export its graph, fuse it, quantise it, and compare the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from compress import card, graph, probe, quantise, tokenizer
from model_handler import artifacts, cpu, limits
from model_handler import manifest as manifests

if TYPE_CHECKING:
    import numpy as np

    from model_handler.engines import Model

GRAPH = "model.onnx"


@dataclass(frozen=True)
class Options:
    """What the owner chooses.

    `max_length`: tokens a text is cut to, instead of what the checkpoint says. `pairs`: records
    have pairs of texts as their features. `tolerance`: how far a logit may move, instead of
    probe.TOLERANCE.
    """

    max_length: int | None = None
    pairs: bool = False
    tolerance: float | None = None


def convert(
    checkpoint: Path,
    made: Path,
    scratch: Path,
    say: Callable[[str], None],
    options: Options = Options(),  # noqa: B008  # frozen
) -> float:
    """Write a portable packed model to the folder `made`; `scratch` is for files in between.

    Returns the largest change of a logit on the probe texts. Raises ModelError when the checkpoint
    cannot be opened, DriftError when the result answers differently.
    """
    from transformers import AutoModelForSequenceClassification

    from model_handler.engines import torch_engine

    artifacts.check_checkpoint(checkpoint, sorted(checkpoint.iterdir()))
    say("open the checkpoint")
    original = torch_engine.open_model(checkpoint, limits.Limits(cpu.threads()))
    expected = probe.logits(original)
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
    return _finish(made, original, checkpoint, model.config.model_type, expected)


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
