"""A packed model directory in, an onnxruntime engine out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from model_handler import manifest as manifests
from model_handler import tokens
from model_handler.engines import Model
from model_handler.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime


class OnnxEngine:
    """Runs a packed graph on onnxruntime; safe to share between threads."""

    def __init__(self, graph: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Left to itself onnxruntime pins its threads to physical cores, outside the affinity mask
        # it was given: https://onnxruntime.ai/docs/performance/tune-performance/threading.html
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # pack-model has optimised the graph; doing it again would only cost time at every start.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self._session: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )

    def logits(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Token ids and attention mask, int64 (B, T), to logits, float32 (B, L)."""
        feed = {"input_ids": ids, "attention_mask": mask}
        answer: np.ndarray = self._session.run(["logits"], feed)[0]
        return answer


def open_model(directory: Path, threads: int) -> Model:
    """Open a packed model, check every file, and run its probe (which also warms it up)."""
    from tokenizers import Tokenizer

    manifest = manifests.read(directory)
    manifests.verify(directory, manifest)
    try:
        engine = OnnxEngine(directory / manifest.graph, threads)
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    except Exception as error:  # both libraries raise types of their own for a bad file
        raise EngineError(f"onnxruntime cannot open {directory}: {error}") from error
    side = (tokenizer.truncation or {}).get("direction", "right")
    tokenizer = tokens.prepare(tokenizer, manifest.max_length, side)
    model = Model(
        name="onnxruntime",
        engine=engine,
        tokenizer=tokenizer,
        pad_id=manifest.pad_id,
        max_length=manifest.max_length,
        labels=manifest.labels,
    )
    _probe(model, manifest)
    return model


def _probe(model: Model, manifest: manifests.Manifest) -> None:
    """Score the first probe text; raises EngineError when the logits are not the manifest's."""
    import numpy as np

    batch = next(tokens.batches(model.tokenizer, model.pad_id, manifest.probe_texts[:1]))
    drift = np.abs(model.engine.logits(batch.ids, batch.mask)[0] - manifest.probe_logits[0]).max()
    if not drift <= manifest.tolerance:
        raise EngineError(
            f"the model answers its probe text wrongly on this CPU: logits are off by {drift:.3f}, "
            f"{manifest.tolerance} is allowed; pack it again with this version of onnxruntime"
        )
