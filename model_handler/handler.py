"""Predict texts with the model of one directory, and say what it took. READ THIS SECOND."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from model_handler import artifacts, outputs, tokens
from model_handler.batching import StopTime
from model_handler.engines import Model, Options
from model_handler.errors import LogitError, TooManyError
from model_handler.loading import Loader, Status, open_batched, settle
from model_handler.pace import MARGIN
from model_handler.resources import Limits
from model_handler.tokens import Row, Text

if TYPE_CHECKING:
    import numpy as np


class Usage(NamedTuple):
    """What scoring some texts took: counts, and seconds for each stage."""

    different: int = 0  # texts, since equal ones are scored once
    tokens: int = 0  # of those
    truncated: int = 0  # texts, equal ones as well: cut to the model's length
    unknown: int = 0  # texts, equal ones as well: without a word that the model knows
    queue: float = 0.0  # waiting for the model to load, and for the engine
    tokenise: float = 0.0
    infer: float = 0.0
    cold: bool = False  # nothing had been predicted before


class Scored(NamedTuple):
    """One prediction for each of N texts, in their order, and what scoring them took.

    `logits`: float32 (N, L) for the L `labels`, None where there was no text. `function`: what
    transformers' pipeline would make scores of them with.
    """

    predictions: list[outputs.Output]
    usage: Usage
    logits: np.ndarray | None = None
    labels: tuple[outputs.Label, ...] = ()
    function: outputs.Function = outputs.Function.NONE


class Handler:
    """Serves one model directory from any number of threads.

    `open_model` opens the model; deadlines and the stop time are times of `clock`.
    """

    def __init__(
        self,
        directory: Path,
        limits: Limits | None = None,
        options: Options | None = None,
        open_model: Callable[[Path, Limits, Options], Model] = artifacts.open_model,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        limits = limits or Limits()
        options = options or Options()
        self.stop = StopTime()
        wanted = threading.Event()
        opened = partial(
            open_batched, directory, limits, options, open_model, clock, self.stop, wanted
        )
        self._loader = Loader(opened, settle, limits.threads, self.stop, clock, wanted)
        self.start = self._loader.start
        self.wait = self._loader.wait

    @property
    def status(self) -> Status:
        """Where the load stands, and what is known of the model once it is loaded."""
        return self._loader.status

    def load(self, deadline: float = math.inf) -> Model:
        """Load the model or join the load under way.

        Raises ModelError once loading failed, LateError when the deadline passes meanwhile.
        """
        return self._loader.load(deadline).model

    def finish_by(self, end: float) -> None:
        """Give up what is not scored by then, by the clock: the server is about to stop."""
        self.stop.at = end

    def too_long(self, texts: Sequence[Text], deadline: float = math.inf) -> set[Text]:
        """Find the texts that would be cut to the model's length; raises what `load` raises."""
        loaded = self._loader.load(deadline)
        check = partial(loaded.batcher.check, deadline)
        rows = tokens.encode(loaded.model.encoder, texts, check=check)
        return {text for text, row in zip(texts, rows, strict=True) if row.truncated}

    def predict(self, texts: Sequence[Text]) -> list[outputs.Output]:
        """Score texts: one prediction for each, in their order. Loads the model if need be."""
        return self.score(texts).predictions

    def score(
        self,
        texts: Sequence[Text],
        deadline: float = math.inf,
        scores: bool = False,
        threshold: float = outputs.THRESHOLD,
    ) -> Scored:
        """Score texts by a deadline, and say what it took.

        `scores` keeps those of all labels, where a text gets one; where it gets several, those with
        a score of `threshold` or more. Raises ModelError; a DeadlineError: TooManyError with the
        number of texts that fit; and LogitError when a logit is no finite number.
        """
        if not texts:
            self._loader.load(deadline)
            return Scored([], Usage(cold=not self._loader.used.is_set()))
        self._loader.wanted.set()
        try:
            return self._score(texts, deadline, scores, threshold)
        finally:
            self._loader.tried.set()

    def _score(
        self, texts: Sequence[Text], deadline: float, scores: bool, threshold: float
    ) -> Scored:
        cold, began = not self._loader.used.is_set(), self._clock()
        loaded = self._loader.load(deadline)
        model, batcher = loaded.model, loaded.batcher
        ready = self._clock()
        once = list(dict.fromkeys(texts))  # equal texts are scored once
        most = batcher.affordable(deadline)
        check = partial(batcher.check, deadline)
        rows = tokens.encode(model.encoder, once, most * MARGIN, check)
        tokenised = self._clock()
        if len(once) > tokens.CHUNK:  # these take long, and less so once the load has settled
            self._loader.tried.set()
        try:
            if len(rows) < len(once):
                raise TooManyError(most)
            run = batcher.logits(rows, deadline)
        except TooManyError as error:
            first_left_out = once[_fitting(rows, error.tokens)]
            raise TooManyError(error.tokens, texts.index(first_left_out)) from None
        read = _read_outputs(model, run.logits, scores, threshold)
        self._loader.used.set()
        place = {text: number for number, text in enumerate(once)}
        places = [place[text] for text in texts]
        usage = Usage(
            different=len(once),
            tokens=sum(map(len, rows)),
            truncated=_times(places, [row.truncated for row in rows]),
            unknown=_times(places, [model.wordless.issuperset(row.ids) for row in rows]),
            queue=ready - began + run.queued,
            tokenise=tokenised - ready,
            infer=run.computed,
            cold=cold,
        )
        found = [read[number] for number in places]
        return Scored(found, usage, run.logits[places], model.labels, model.pipeline_function)


def _read_outputs(
    model: Model, logits: np.ndarray, scores: bool, threshold: float
) -> list[outputs.Output]:
    """Read the outputs off logits, float32 (N, L); raises LogitError unless they are numbers."""
    # Not before the load, which imports it too: no two threads can import numpy at one time.
    import numpy as np

    if not np.isfinite(logits).all():
        raise LogitError("the model computed something that is no number")
    return outputs.read(logits, model.labels, model.problem_type, scores, threshold)


def _fitting(rows: Sequence[Row], most: float) -> int:
    """Count the rows, from the first on, that together have `most` tokens or fewer."""
    return bisect_right(list(accumulate(map(len, rows))), most)


def _times(places: Sequence[int], found: Sequence[bool]) -> int:
    """Count the places that have what was found."""
    return sum(found[place] for place in places) if any(found) else 0
