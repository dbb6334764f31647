"""Texts in, predictions out; the model behind them is loaded once, by whoever needs it first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path

from model_handler import artifacts, cpu, labels, tokens
from model_handler.batching import Batcher
from model_handler.engines import Model
from model_handler.errors import ModelError
from model_handler.limits import Limits

log = logging.getLogger(__name__)

# What a load leaves for later waits for the first prediction, but not longer than this.
SETTLE_AFTER_SECONDS = 1.0


class State(Enum):
    """Where a handler stands: cold -> loading -> ready | failed."""

    COLD = "cold"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Handler:
    """Serves one model directory from any number of threads.

    `open_model` is a seam for other engines.
    """

    def __init__(
        self,
        directory: Path,
        limits: Limits | None = None,
        open_model: Callable[[Path, Limits], Model] = artifacts.open_model,
    ) -> None:
        self._directory = directory
        self._limits = limits or Limits()
        self._open = open_model
        self._state = State.COLD
        self._claim = threading.Lock()  # held for the moment in which one thread takes the load
        self._done = threading.Event()  # set once the state is READY or FAILED
        self._predicted = threading.Event()  # set once the first prediction is out
        self._model: Model | None = None
        self._batcher: Batcher | None = None
        self._failure: ModelError | None = None

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
        if self._failure is not None or self._model is None:
            raise self._failure or ModelError("the model is not loaded")
        return self._model

    def predict(self, texts: list[str]) -> list[labels.Prediction]:
        """Score texts: one prediction for each, in their order. Loads the model if need be."""
        model = self.load()
        if not texts:
            return []
        assert self._batcher is not None  # made with the model
        once = list(dict.fromkeys(texts))  # equal texts are scored once
        logits = self._batcher.logits(tokens.encode(model.tokenizer, once))
        found = dict(zip(once, labels.read_off(logits, model.labels), strict=True))
        self._predicted.set()
        return [found[text] for text in texts]

    def _load(self) -> None:
        """Load, unless another thread has begun to."""
        with self._claim:
            if self._state is not State.COLD:
                return
            self._state = State.LOADING
        cpu.limit_libraries(self._limits.threads)
        if self._try(self._open_model):
            self._state = State.READY
            # Not a daemon: whoever stops the process at once still gets what settling has to say.
            settle = partial(self._try, self._settle)
            threading.Thread(target=settle, name="settle-model", daemon=False).start()
        self._done.set()

    def _open_model(self) -> None:
        model = self._open(self._directory, self._limits)
        threads = self._limits.threads
        self._batcher = Batcher(model.engine, model.pad_id, tokens.BUDGET * threads, runs=threads)
        self._model = model

    def _settle(self) -> None:
        self._predicted.wait(SETTLE_AFTER_SECONDS)
        if self._model is not None:
            self._model.engine.settle()

    def _try(self, step: Callable[[], None]) -> bool:
        """Do a part of loading; a failure becomes the handler's state and goes to the log."""
        try:
            step()
            return True
        except ModelError as error:
            self._failure = error
        except Exception as error:
            log.exception("the model could not be loaded")
            self._failure = ModelError(f"the model could not be loaded: {type(error).__name__}")
        self._state = State.FAILED
        log.error("model load failed: %s", self._failure)
        return False
