"""Texts in, predictions out; the model behind them is loaded once, by whoever needs it first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from model_handler import artifacts, cpu, labels, tokens
from model_handler.engines import Model
from model_handler.errors import ModelError

log = logging.getLogger(__name__)


class State(Enum):
    """Where a handler stands: cold -> loading -> ready | failed."""

    COLD = "cold"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Handler:
    """Serves one model directory from any number of threads.

    `threads` is how many the engine computes with. `open_model` is a seam for other engines.
    """

    def __init__(
        self,
        directory: Path,
        threads: int,
        open_model: Callable[[Path, int], Model] = artifacts.open_model,
    ) -> None:
        self._directory = directory
        self._threads = threads
        self._open = open_model
        self._state = State.COLD
        self._claim = threading.Lock()  # held for the moment in which one thread takes the load
        self._done = threading.Event()  # set once the state is READY or FAILED
        self._model: Model | None = None
        self._failure: ModelError | None = None
        # One text is scored by all threads of the engine; two at once would only take turns.
        self._engine_free = threading.Lock()

    @property
    def state(self) -> State:
        """Where the load stands."""
        return self._state

    @property
    def failure(self) -> str | None:
        """Why loading failed; None unless the state is FAILED."""
        return None if self._failure is None else str(self._failure)

    def start(self) -> None:
        """Start loading in a thread of its own, if nobody has."""
        threading.Thread(target=self._load, name="load-model", daemon=True).start()

    def wait(self, seconds: float) -> State:
        """Wait for a load under way, at most so long, and tell the state."""
        if self._state is State.LOADING:
            self._done.wait(seconds)
        return self._state

    def load(self) -> Model:
        """Load the model or join the load under way; raises ModelError once loading failed."""
        self._load()
        self._done.wait()
        if self._model is None:
            raise self._failure or ModelError("the model is not loaded")
        return self._model

    def predict(self, texts: list[str]) -> list[labels.Prediction]:
        """Score texts: one prediction for each, in their order. Loads the model if need be."""
        import numpy as np

        model = self.load()
        logits = np.empty((len(texts), len(model.labels)), dtype=np.float32)
        for batch in tokens.batches(model.tokenizer, model.pad_id, texts):
            with self._engine_free:
                logits[batch.places] = model.engine.logits(batch.ids, batch.mask)
        return labels.read_off(logits, model.labels) if texts else []

    def _load(self) -> None:
        """Load, unless another thread has begun to."""
        with self._claim:
            if self._state is not State.COLD:
                return
            self._state = State.LOADING
        try:
            cpu.limit_libraries(self._threads)
            self._model = self._open(self._directory, self._threads)
            self._state = State.READY
        except ModelError as error:
            self._fail(error)
        except Exception as error:
            log.exception("the model could not be loaded")
            self._fail(ModelError(f"the model could not be loaded: {type(error).__name__}"))
        finally:
            self._done.set()

    def _fail(self, error: ModelError) -> None:
        self._failure = error
        self._state = State.FAILED
        log.error("model load failed: %s", error)
