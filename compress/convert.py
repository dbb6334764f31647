"""Convert a checkpoint: export its graph, fuse and quantise it, and compare the answers."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import compress.drift as drifts
from compress import checkpoint as checkpoints
from compress import early_tokenizer, fixed_scales, fusion, packed_files, prepack, probe, quantise
from compress.checkpoint import Checkpoint
from compress.fixed_scales import FixedScale
from compress.weights import Form
from model_handler import Limits, engines, resources, tokens
from model_handler import manifest as manifests
from model_handler.errors import EngineError
from model_handler.manifest import Early
from model_handler.tokens import Pairs

if TYPE_CHECKING:
    import numpy as np

GRAPH = "model.onnx"
REMEDY = "serve the checkpoint itself, on the full image"


@dataclass(frozen=True)
class PackOptions:
    """What the owner chooses.

    `max_length`: tokens a text is cut to, instead of what the checkpoint says. `pairs`: records
    have pairs of texts as their features. `tolerance`: how far a logit may move, instead of
    probe.TOLERANCE.
    """

    max_length: int | None = None
    pairs: bool = False
    tolerance: float | None = None


@dataclass(frozen=True)
class Quantised:
    """A graph in its place: its answers to the probe texts, and their drift from the checkpoint's.

    `size` is in bytes, `milliseconds` are those of a sentence.
    """

    logits: np.ndarray
    drift: float
    size: int
    milliseconds: float


def convert(
    checkpoint: Path,
    made: Path,
    scratch: Path,
    say: Callable[[str], None],
    options: PackOptions = PackOptions(),
) -> float:
    """Write a portable packed model to the folder `made`; `scratch` is for files in between.

    Returns the largest change of a logit on the probe texts. Raises ModelError when the checkpoint
    cannot be opened or exported, DriftError when no form of its weights answers like it.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        exported = Path(folder) / "exported.onnx"
        pairs = Pairs.FEATURES if options.pairs else Pairs.TEXT_PAIR
        wanted = engines.Options(options.max_length, pairs)
        original = checkpoints.export_from(checkpoint, exported, wanted, say)
        gc.collect()  # the model in PyTorch, which its modules refer to in circles
        say("fuse")
        source, equal_lengths = _fuse(original, exported)
        say("measure activations")
        scales = _fixed_scales(original, source)
        say("quantise")
        allowed = original.texts.allowed(options.tolerance)
        last, wide = _quantise_within(allowed, original, source, scales, made, say)
    packed_files.write_tokenizer(made, original.tokenizer)
    say("write the early tokenizer")
    early = early_tokenizer.write(made, original.max_length)
    _describe(original, made, last, equal_lengths, wide, allowed, early)
    return last.drift


def _quantise_within(
    allowed: float,
    original: Checkpoint,
    source: Path,
    scales: Mapping[str, FixedScale],
    made: Path,
    say: Callable[[str], None],
) -> tuple[Quantised, str | None]:
    """Quantise all weights, or as many as drift allows; says which are wider, and what it costs.

    Raises DriftError when no form helps.
    """
    first = last = _quantise(original, source, scales, made, {})
    if first.drift <= allowed:
        return first, None
    say(f"int8 drifts by {first.drift:.3f}, {allowed:.3f} is allowed")
    wide = drifts.widen(source, scales, original.texts, allowed, say)
    if wide is not None:
        say("quantise the others")
        last = _quantise(original, source, scales, made, wide.forms)
    if not last.drift <= allowed:
        raise probe.DriftError(
            f"the packed model drifts: its logits are off by {last.drift:.3f}, {allowed:.3f} "
            f"is allowed; raise --tolerance, or {REMEDY}"
        )
    cost = (
        f"{wide}; {last.size / 1e6:.2f} MB instead of {first.size / 1e6:.2f}, and "
        f"{last.milliseconds:.1f} ms for {drifts.TOKENS} tokens on this CPU instead of "
        f"{first.milliseconds:.1f}"
    )
    say(cost)
    return last, cost


def _fuse(original: Checkpoint, exported: Path) -> tuple[Path, bool]:
    """Fuse the float32 graph if that changes no answer; also find whether padding changes answers.

    Raises EngineError if the graph answers otherwise than the checkpoint.
    """
    fused = exported.with_name("fused.onnx")
    try:
        fusion.fuse(exported, fused, original.heads, original.hidden)
    except Exception:  # the fusions raise many types for a graph that they do not expect
        fused.unlink(missing_ok=True)
    for path in (fused, exported):
        if not path.exists():
            continue
        run = _runner(path)
        if not (original.lengths.same(run) and original.texts.same(run)):
            continue
        together = partial(probe.together, run, pad_id=original.pad_id)
        if not together(probe.equal_rows(original.tokenizer)):
            raise EngineError(
                f"{original.architecture} cannot be packed, an answer would depend on the texts "
                f"beside it in a batch: {REMEDY}"
            )
        return path, not together(probe.unequal_rows(original.tokenizer))
    raise EngineError(
        f"{original.architecture} cannot be packed, its exported graph is right for some lengths "
        f"of texts only: {REMEDY}"
    )


def _fixed_scales(original: Checkpoint, source: Path) -> dict[str, FixedScale]:
    rows = probe.random_rows(original.tokenizer)
    alone = (tokens.pad([row], original.pad_id) for row in rows)
    return fixed_scales.choose(source, [*original.texts.batches, *alone])


def _runner(path: Path) -> probe.Run:
    from model_handler.engines import onnx_engine

    return partial(
        onnx_engine.run,
        onnx_engine.open_session(path, Limits(resources.threads()), pack=False),
    )


def _quantise(
    original: Checkpoint,
    source: Path,
    scales: Mapping[str, FixedScale],
    made: Path,
    forms: Mapping[str, Form],
) -> Quantised:
    """Put the quantised graph in its place, and measure it.

    Raises EngineError if onnxruntime cannot run it.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as refusals

    from model_handler.engines import onnx_engine

    quantised = source.with_name("quantised.onnx")
    quantise.quantise(source, quantised, scales, forms)
    try:
        files = prepack.optimise(quantised, made / GRAPH)
    except (refusals.InvalidGraph, refusals.NotImplemented) as error:
        raise EngineError(
            f"{original.architecture} cannot be packed, onnxruntime cannot run its graph: {REMEDY}"
        ) from error
    quantised.with_suffix(".bin").unlink()
    session = onnx_engine.open_session(made / GRAPH, Limits(resources.threads()))
    logits = probe.answers(partial(onnx_engine.run, session), original.texts.batches)
    return Quantised(
        logits,
        float(abs(logits - original.texts.logits).max()),
        sum(path.stat().st_size for path in files),
        drifts.milliseconds(session, original.texts),
    )


def _describe(
    original: Checkpoint,
    made: Path,
    last: Quantised,
    equal_lengths: bool,
    wide: str | None,
    allowed: float,
    early: Early | None,
) -> None:
    """Write the manifest and the card."""
    logits = probe.answers(_runner(made / GRAPH), original.texts.batches)
    # Until its weights have the layout of the CPU, a product of blocks rounds activations less.
    layout = float(abs(logits - last.logits).max())
    source = {
        "checkpoint": original.directory.resolve().name,
        "architecture": original.architecture,
    }
    if wide is not None:
        source["wide"] = wide
    manifest = manifests.Manifest(
        labels=original.labels,
        problem_type=original.problem_type,
        declared=original.declared,
        max_length=original.max_length,
        pad_id=original.pad_id,
        graph=GRAPH,
        files=manifests.describe(*sorted(made.iterdir())),
        source=source
        | {tool: metadata.version(tool) for tool in ("torch", "transformers", "onnxruntime")},
        probe_texts=probe.TEXTS,
        probe_logits=tuple(
            tuple(round(float(x), 5) for x in row) for row in logits[: len(probe.TEXTS)]
        ),
        tolerance=max(probe.ROUNDING, round(2 * layout, 3)),
        equal_lengths=equal_lengths,
        pairs=original.pairs,
        early=early,
    )
    manifest.write(made)
    packed_files.write_card(made, manifest, original.directory, last.drift, allowed)
