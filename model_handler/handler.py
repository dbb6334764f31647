"""READ THIS SECOND: texts in; predictions, and what they took, out."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path

from model_handler import artifacts, outputs, tokens
from model_handler.engines import Model
from model_handler.errors import TooManyError
from model_handler.limits import Limits
from model_handler.loading import Loader, State, open_batched, settle
from model_handler.tokens import Text


@dataclass(frozen=True)
class Usage:
    """What scoring some texts took: counts, and seconds for each stage."""

    different: int = 0  # texts, since equal ones are scored once
    tokens: int = 0  # of those
    truncated: int = 0  # of those: cut to the model's length
    queue: float = 0.0  # waiting for the model to load, and for the engine
    tokenise: float = 0.0
    infer: float = 0.0
    cold: bool = False  # nothing had been predicted before


@dataclass(frozen=True)
class Scored:
    """One prediction for each text, in their order, and what they took."""

    predictions: list[outputs.Output]
    usage: Usage


class Handler:
    """Serves one model directory from any number of threads.

    `open_model` is a seam for other engines; deadlines are told by `clock`.
    """

    def __init__(
        self,
        directory: Path,
        limits: Limits | None = None,
        open_model: Callable[[Path, Limits], Model] = artifacts.open_model,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        limits = limits or Limits()
        opened = partial(open_batched, directory, limits, open_model, clock)
        self._loader = Loader(opened, settle, limits.threads, clock)
        self._end = math.inf
        self.start = self._loader.start
        self.wait = self._loader.wait

    @property
    def state(self) -> State:
        """Where the load stands."""
        return self._loader.state

    @property
    def failure(self) -> str | None:
        """Why loading failed; None unless the state is FAILED."""
        return None if self._loader.failure is None else str(self._loader.failure)

    @property
    def engine(self) -> str | None:
        """The name of the engine; None until the model is loaded."""
        return None if self._loader.loaded is None else self._loader.loaded.model.name

    @property
    def classes(self) -> tuple[outputs.Label, ...]:
        """All labels of the model; none until it is loaded."""
        return () if self._loader.loaded is None else self._loader.loaded.model.labels

    @property
    def load_seconds(self) -> float | None:
        """How long the load took; None until the model is loaded."""
        return None if self._loader.loaded is None else self._loader.loaded.seconds

    def load(self) -> Model:
        """Load the model or join the load under way; raises ModelError once loading failed."""
        return self._loader.load().model

    def finish_by(self, end: float) -> None:
        """What is not scored by then, by the clock, is given up: the server is about to stop."""
        self._end = end
        if self._loader.loaded is not None:
            self._loader.loaded.batcher.end = end

    def predict(self, texts: Sequence[Text]) -> list[outputs.Output]:
        """Score texts: one prediction for each, in their order. Loads the model if need be."""
        return self.score(texts).predictions

    def score(
        self, texts: Sequence[Text], deadline: float = math.inf, scores: bool = False
    ) -> Scored:
        """Score texts by a deadline, and tell what it took; `scores` keeps those of all labels.

        Raises ModelError, or a DeadlineError: TooManyError with the number of texts that fit.
        """
        cold, began = not self._loader.used.is_set(), self._clock()
        loaded = self._loader.load(min(deadline, self._end))
        if not texts:
            return Scored([], Usage(cold=cold))
        model, batcher = loaded.model, loaded.batcher
        batcher.end = self._end  # it may have been set while the model was loading
        ready = self._clock()
        once = list(dict.fromkeys(texts))  # equal texts are scored once
        most = batcher.affordable(deadline)
        rows = tokens.encode(model.tokenizer, once, most)
        lengths = list(map(len, rows))
        tokenised = self._clock()
        try:
            if len(lengths) < len(once):
                raise TooManyError(most)
            run = batcher.logits(rows, deadline)
        except TooManyError as error:
            fitting = bisect_right(list(accumulate(lengths)), error.tokens)
            raise TooManyError(error.tokens, texts.index(once[fitting])) from None
        read = outputs.read(run.logits, model.labels, model.problem_type, scores)
        found = dict(zip(once, read, strict=True))
        self._loader.used.set()
        usage = Usage(
            different=len(once),
            tokens=sum(lengths),
            truncated=sum(row.truncated for row in rows),
            queue=ready - began + run.queued,
            tokenise=tokenised - ready,
            infer=run.computed,
            cold=cold,
        )
        return Scored([found[text] for text in texts], usage)
