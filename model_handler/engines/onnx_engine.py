"""Open a packed model directory on onnxruntime.

It opens twice. First the portable graph as it is in the file, mapped: that takes a quarter of the
time, but each run has to bring the weights into the layout of the CPU. Then, after the first
prediction, `settle` opens the graph whose weights have that layout: pre-packed ones if the
directory has them for this CPU, else it packs the portable ones. Never are both open: each has the
weights in memory.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from model_handler import manifest as manifests
from model_handler import resources, tokens
from model_handler.engines import Model, packed_tokenizer
from model_handler.engines.packed_tokenizer import EarlyTokenizer
from model_handler.errors import EngineError, ModelError
from model_handler.manifest import Manifest, Prepacked
from model_handler.resources import Limits
from model_handler.tokens import Batch

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

# A probe runs beside the first texts if it makes a row of this many tokens at most: more padding
# would take longer than a run of its own.
WIDEST = 32


def open_model(directory: Path, limits: Limits) -> Model:
    """Open a packed model; its first prediction, or `prove`, compares what it answers."""
    manifest = manifests.read(directory)
    # Plain texts need tokenizer.json after the first answer only; opening it checks it.
    manifests.glance(directory, manifest.files, later=packed_tokenizer.NAME)
    session = open_session(directory / manifest.graph, limits, pack=False)
    tokenizer = packed_tokenizer.open_early(directory, manifest)
    probe = Probe.first(manifest, tokenizer)
    engine = OnnxEngine(directory, manifest, limits, session, probe, tokenizer)
    return Model(
        name="onnxruntime",
        engine=engine,
        encoder=tokenizer,
        wordless=packed_tokenizer.wordless(tokenizer),
        pad_id=manifest.pad_id,
        max_length=manifest.max_length,
        labels=manifest.labels,
        problem_type=manifest.problem_type,
        equal_lengths=manifest.equal_lengths,
        pairs=manifest.pairs,
        declared=manifest.declared,
    )


class OnnxEngine:
    """Runs a packed model on onnxruntime; safe to share between threads."""

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        limits: Limits,
        session: onnxruntime.InferenceSession,
        probe: Probe,
        tokenizer: Tokenizer | EarlyTokenizer,
    ) -> None:
        self._directory = directory
        self._manifest = manifest
        self._limits = limits
        self._probe = probe
        self._tokenizer = tokenizer
        self._proven = False
        self._session: onnxruntime.InferenceSession | None = session
        self._turn = threading.Lock()  # held while the session changes

    def logits(self, batch: Batch) -> np.ndarray:
        """Compute the logits of a batch of B rows, float32 (B, L).

        The first time the probe runs as well; raises EngineError unless it is right.
        """
        session = self._open_session()
        if self._proven:
            return run(session, batch)
        if self._manifest.equal_lengths or batch.ids.shape[1] > WIDEST:
            self.prove()
            return run(session, batch)
        found = run(session, tokens.join(batch, self._probe.batch, self._manifest.pad_id))
        self._probe.compare(found[-1])
        self._proven = True
        return found[:-1]

    def prove(self) -> None:
        """Run the probe, unless it has run; raises EngineError unless it is right."""
        if not self._proven:
            self._probe.check(self._open_session())
            self._proven = True

    def settle(self) -> None:
        """Change over to the layout of this CPU, open the whole tokenizer, and hash the files.

        In this order, since requests take several times as long until the change.
        """
        self.prove()
        prepacked = self._change(self._manifest.prepacked != ())
        if isinstance(self._tokenizer, EarlyTokenizer):
            self._tokenizer.whole()
        manifests.verify(self._directory, self._manifest.files, gently=True)
        if prepacked is not None:
            try:
                manifests.verify(self._directory, prepacked.files, gently=True)
            except ModelError as error:
                _warn(error)
                self._change(False)

    def _open_session(self) -> onnxruntime.InferenceSession:
        """Return the session, once no change is under way; raises EngineError if one failed."""
        with self._turn:
            if self._session is None:
                raise EngineError("the model could not be opened again; the log has the reason")
            return self._session

    def _change(self, to_prepacked: bool) -> Prepacked | None:
        """Close the session as soon as no run uses it, and open another.

        Returns the pre-packed weights that it uses, if any.
        """
        with self._turn:
            self._session = None
            found = self._open_prepacked() if to_prepacked else None
            if found is None:
                self._session = open_session(self._directory / self._manifest.graph, self._limits)
            return found

    def _open_prepacked(self) -> Prepacked | None:
        """Use pre-packed weights that pass the probe; None if there are none, with a warning."""
        try:
            found = fitting(self._manifest)
            manifests.glance(self._directory, found.files)
            session = open_session(self._directory / found.graph, self._limits)
            self._probe.check(session)
        except ModelError as error:
            _warn(error)
            return None
        self._session = session
        return found


def _warn(reason: ModelError) -> None:
    log.warning("pre-packed weights are not used, the portable graph is: %s", reason)


class Probe(NamedTuple):
    """A batch of one text, and the logits that it must give."""

    batch: Batch
    expected: tuple[float, ...]
    tolerance: float

    @classmethod
    def first(cls, manifest: Manifest, tokenizer: Tokenizer | EarlyTokenizer) -> Probe:
        """Make a batch of the first probe text of a manifest."""
        rows = tokens.encode(tokenizer, manifest.probe_texts[:1])
        return cls(tokens.pad(rows, manifest.pad_id), manifest.probe_logits[0], manifest.tolerance)

    def check(self, session: onnxruntime.InferenceSession) -> None:
        """Run the batch; raises EngineError when its logits are not those expected."""
        try:
            found = run(session, self.batch)[0]
        except Exception as error:  # onnxruntime raises types of its own
            raise EngineError(f"onnxruntime cannot run the model: {error}") from error
        self.compare(found)

    def compare(self, found: np.ndarray) -> None:
        """Raise EngineError when logits, float32 (L,), are not those expected."""
        import numpy as np

        drift = np.abs(found - self.expected).max()
        if not drift <= self.tolerance:
            raise EngineError(
                f"the model answers its probe text wrongly on this CPU: logits are off by "
                f"{drift:.3f}, {self.tolerance} is allowed; pack it again with this version of "
                "onnxruntime"
            )


def fitting(manifest: Manifest) -> Prepacked:
    """Find the pre-packed weights for this CPU and onnxruntime; raises EngineError without any."""
    import onnxruntime

    kind, version = resources.cpu_kind(), onnxruntime.__version__
    for found in manifest.prepacked:
        if (found.cpu, found.onnxruntime) == (kind, version):
            return found
    there = ", ".join(f"{p.cpu} with onnxruntime {p.onnxruntime}" for p in manifest.prepacked)
    raise EngineError(
        f"there are some for {there}, and this is {kind} with onnxruntime {version}; "
        "pack-model --prepack-only adds them"
    )


def open_session(graph: Path, limits: Limits, pack: bool = True) -> onnxruntime.InferenceSession:
    """Open a graph that pack-model has optimised; raises EngineError if it cannot be opened.

    `pack` brings the weights into the layout of the CPU, once, instead of in every run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Left to itself onnxruntime pins its threads to physical cores, outside the affinity mask
    # it was given: https://onnxruntime.ai/docs/performance/tune-performance/threading.html
    options.intra_op_num_threads = limits.threads
    options.inter_op_num_threads = 1
    # pack-model has optimised the graph; doing it again would only cost time at every start.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # errors come as exceptions
    # Threads that wait for work in a loop would use up the CPU share, and what else there is to do
    # (the next request, its tokens) would wait for them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_prepacking", str(int(not pack)))
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own for a bad file
        raise EngineError(f"onnxruntime cannot open {graph}: {error}") from error


def run(session: onnxruntime.InferenceSession, batch: Batch, **more: np.ndarray) -> np.ndarray:
    """Compute the logits of a batch of B rows, float32 (B, L); `more` are further inputs."""
    return outputs(session, batch, ["logits"], **more)[0]


def outputs(
    session: onnxruntime.InferenceSession, batch: Batch, names: list[str], **more: np.ndarray
) -> list[np.ndarray]:
    """Compute outputs of a graph for a batch; `more` are inputs that a packed model has not."""
    fields = {"input_ids": batch.ids, "attention_mask": batch.mask, "token_type_ids": batch.types}
    feed = fields | more
    wanted = {each.name: feed[each.name] for each in session.get_inputs()}
    found: list[np.ndarray] = session.run(names, wanted)
    return found
