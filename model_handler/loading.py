"""A model directory in, the model behind it out: loaded once, by whoever needs it first."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from model_handler import artifacts, cpu, tokens
from model_handler.batching import Batcher
from model_handler.engines import Model, Options
from model_handler.errors import LateError, ModelError
from model_handler.limits import Limits

log = logging.getLogger(__name__)

# What a load leaves for later waits for the first prediction, but not longer than this.
SETTLE_AFTER_SECONDS = 1.0


class State(Enum):
    """Where a load stands: cold -> loading -> ready | failed."""

    COLD = "cold"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Loaded:
    """A model that is open, the batcher that feeds its engine, and the seconds that took."""

    model: Model
    batcher: Batcher
    seconds: float


class Loader:
    """Loads one model directory once, for any number of threads."""

    def __init__(
        self,
        directory: Path,
        limits: Limits,
        options: Options,
        open_model: Callable[[Path, Limits, Options], Model] = artifacts.open_model,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = State.COLD
        self.failure: ModelError | None = None  # why loading failed, once the state is FAILED
        self.loaded: Loaded | None = None
        self.used = threading.Event()  # set once the first prediction is out
        self._directory = directory
        self._limits = limits
        self._options = options
        self._open_model = open_model
        self._clock = clock
        self._claim = threading.Lock()  # held for the moment in which one thread takes the load
        self._done = threading.Event()  # set once the state is READY or FAILED

    def start(self) -> None:
        """Start loading in a thread of its own, if nobody has."""
        threading.Thread(target=self._load, name="load-model", daemon=True).start()

    def wait(self, seconds: float) -> State:
        """Wait for a load under way, at most so long, and tell the state."""
        if self.state is State.LOADING:
            self._done.wait(seconds)
        return self.state

    def load(self, deadline: float = math.inf) -> Loaded:
        """Load the model or join the load under way.

        Raises ModelError once loading failed, and LateError when the deadline passes meanwhile.
        """
        self._load()
        self._done.wait(None if deadline == math.inf else max(0.0, deadline - self._clock()))
        if self.failure is not None:
            raise self.failure
        if self.loaded is None:
            raise LateError("the model is still loading")
        return self.loaded

    def _load(self) -> None:
        """Load, unless another thread has begun to."""
        with self._claim:
            if self.state is not State.COLD:
                return
            self.state = State.LOADING
        cpu.limit_libraries(self._limits.threads)
        if self._try(self._open):
            self.state = State.READY
            # Not a daemon: whoever stops the process at once still gets what settling has to say.
            settle = partial(self._try, self._settle)
            threading.Thread(target=settle, name="settle-model", daemon=False).start()
        self._done.set()

    def _open(self) -> None:
        began = self._clock()
        model = self._open_model(self._directory, self._limits, self._options)
        threads = self._limits.threads
        budget = tokens.BUDGET * threads
        padding = 0 if model.equal_lengths else tokens.PADDING
        batcher = Batcher(model.engine, model.pad_id, budget, threads, padding, self._clock)
        batcher.settled = False
        self.loaded = Loaded(model, batcher, self._clock() - began)
        log.info(
            "model loaded: %s, %s, texts cut to %d tokens, labels %s, %s, %.2f s",
            model.name,
            model.problem_type,
            model.max_length,
            ", ".join(map(str, model.labels[:10])) + (", ..." if len(model.labels) > 10 else ""),
            "rows of equal length run together" if model.equal_lengths else "rows are padded",
            self.loaded.seconds,
        )

    def _settle(self) -> None:
        self.used.wait(SETTLE_AFTER_SECONDS)
        if self.loaded is not None:
            self.loaded.model.engine.settle()
            self.loaded.batcher.settled = True

    def _try(self, step: Callable[[], None]) -> bool:
        """Do a part of loading; a failure becomes the loader's state and goes to the log."""
        try:
            step()
            return True
        except ModelError as error:
            self.failure = error
        except Exception as error:
            log.exception("the model could not be loaded")
            self.failure = ModelError(f"unforeseen {type(error).__name__}; the log has more")
        self.state = State.FAILED
        log.error("model load failed: %s", self.failure)
        return False
