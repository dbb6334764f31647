"""Load a model once, for any number of threads: whoever needs it first loads, others join."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from model_handler import resources
from model_handler.batching import Batcher, StopTime
from model_handler.engines import Model, Options
from model_handler.errors import LateError, ModelError
from model_handler.outputs import Label
from model_handler.resources import Limits

log = logging.getLogger(__name__)

# What a load leaves for later waits for the first prediction, or so long for one to be wanted.
SETTLE_AFTER_SECONDS = 1.0
# A wait of that second that took so long: the platform has frozen the process, as it does between
# requests, and has thawed it for the first one, which is about to come.
FROZEN_SECONDS = 2.0
# The first answer has the CPU to itself for this long, to be written and sent.
ANSWER_SECONDS = 0.02


class State(Enum):
    """Where a load stands: cold -> loading -> ready | failed."""

    COLD = "cold"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Status(NamedTuple):
    """Where a load stands, and what is known once something is loaded.

    `failure` is why the load failed, None in any other state. `engine` names the engine, `labels`
    are all labels of the model in the order of its logits, and `load_seconds` is how long the load
    took; there is none of these before the load is done.
    """

    state: State = State.COLD
    failure: ModelError | None = None
    engine: str | None = None
    labels: tuple[Label, ...] = ()
    load_seconds: float | None = None


class HasStatus(Protocol):
    """What a load results in: it knows the status from then on."""

    @property
    def status(self) -> Status:
        """READY, and what is known of what was loaded."""


class Loaded(NamedTuple):
    """A model that is open, the batcher that feeds its engine, and the status from then on."""

    model: Model
    batcher: Batcher
    status: Status


def open_batched(
    directory: Path,
    limits: Limits,
    options: Options,
    open_model: Callable[[Path, Limits, Options], Model],
    clock: Callable[[], float],
    stop: StopTime,
    wanted: threading.Event,
) -> Loaded:
    """Open the model in a directory, and make the batcher that feeds it; raises ModelError.

    The model is proven, unless a prediction that is `wanted` already does so.
    """
    began = clock()
    model = open_model(directory, limits, options)
    if not wanted.is_set():
        model.engine.prove()
    batcher = Batcher.for_model(model, limits.threads, clock, stop)
    batcher.settled = False
    seconds = clock() - began
    log.info(
        "model loaded: %s, %s, texts cut to %d tokens, labels %s, %s, %.2f s",
        model.name,
        model.problem_type,
        model.max_length,
        ", ".join(map(str, model.labels[:10])) + (", ..." if len(model.labels) > 10 else ""),
        "rows of equal length run together" if model.equal_lengths else "rows are padded",
        seconds,
    )
    status = Status(State.READY, engine=model.name, labels=model.labels, load_seconds=seconds)
    return Loaded(model, batcher, status)


def settle(loaded: Loaded) -> None:
    """Do what a load has left for later; raises ModelError."""
    loaded.model.engine.settle()
    loaded.batcher.settled = True


T = TypeVar("T", bound=HasStatus)


class Loader(Generic[T]):
    """Calls `open_once` once, for any number of threads, and `settle`, if given, a little later.

    Both may raise ModelError. Before, numeric libraries are told to use so many `threads`.
    """

    def __init__(
        self,
        open_once: Callable[[], T],
        settle: Callable[[T], None] | None,
        threads: int,
        stop: StopTime,
        clock: Callable[[], float] = time.monotonic,
        wanted: threading.Event | None = None,
    ) -> None:
        self.status = Status()  # replaced as a whole, so that whoever reads it needs no lock
        self.loaded: T | None = None
        self.wanted = wanted or threading.Event()  # set once there is something to predict
        self.tried = threading.Event()  # set once the first prediction has ended, or has failed
        self.used = threading.Event()  # set once something has been predicted
        self._open_once = open_once
        self._settle_once = settle
        self._threads = threads
        self._clock = clock
        self._stop = stop
        self._claim = threading.Lock()  # held while one thread decides to load
        self._done = threading.Event()  # set once the state is READY or FAILED

    def start(self) -> None:
        """Start loading in a thread of its own, if nobody has."""
        threading.Thread(target=self._load, name="load-model", daemon=True).start()

    def wait(self, seconds: float) -> Status:
        """Wait for a load under way, at most so long, and return the status."""
        if self.status.state is State.LOADING:
            self._done.wait(seconds)
        return self.status

    def load(self, deadline: float = math.inf) -> T:
        """Load, or join the load under way, and return what is loaded.

        Raises ModelError once loading failed, and LateError when the deadline or the stop time
        passes meanwhile.
        """
        self._load()
        until = min(deadline, self._stop.at)
        self._done.wait(None if until == math.inf else max(0.0, until - self._clock()))
        if self.status.failure is not None:
            raise self.status.failure
        if self.loaded is None:
            raise LateError("the model is still loading")
        return self.loaded

    def _load(self) -> None:
        """Load, unless another thread has begun to."""
        with self._claim:
            if self.status.state is not State.COLD:
                return
            self.status = Status(State.LOADING)
        resources.configure_libraries(self._threads)
        if self._try(self._open) and self._settle_once is not None:
            # Not a daemon: if the process stops at once, what settling finds is still logged.
            settle = partial(self._try, self._settle)
            threading.Thread(target=settle, name="settle-model", daemon=False).start()
        self._done.set()

    def _open(self) -> None:
        self.loaded = self._open_once()
        self.status = self.loaded.status

    def _settle(self) -> None:
        began = self._clock()
        tried = self.tried.wait(SETTLE_AFTER_SECONDS)
        # From a cold disk a first prediction may take long, and settling would read as much again.
        if not tried and (self.wanted.is_set() or self._clock() - began > FROZEN_SECONDS):
            tried = self.tried.wait()
        if tried:
            time.sleep(ANSWER_SECONDS)
        if self.loaded is not None and self._settle_once is not None:
            self._settle_once(self.loaded)

    def _try(self, step: Callable[[], None]) -> bool:
        """Do a part of loading; a failure becomes the loader's state and goes to the log."""
        try:
            step()
            return True
        except ModelError as error:
            failure = error
        except Exception as error:
            log.exception("the model could not be loaded")
            failure = ModelError(f"unforeseen {type(error).__name__}; the log has more")
        self.status = self.status._replace(state=State.FAILED, failure=failure)
        log.error("model load failed: %s", failure)
        return False
