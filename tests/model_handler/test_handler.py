"""Many threads share one load, and each gets its answers in the order of its texts."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from model_handler import (
    BusyError,
    Handler,
    LateError,
    Limits,
    ModelError,
    Prediction,
    State,
    TooManyError,
    artifacts,
    loading,
    tokens,
)
from model_handler.batching import PADDING
from model_handler.engines import Engine, Model, Options
from model_handler.errors import LogitError
from model_handler.tokens import Batch
from tests.clock import Clock
from tests.conftest import BUNDLED, labelled

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Gate:
    """Opens models for real, but not before it is told to; counts how often."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.calls = 0

    def __call__(self, directory: Path, limits: Limits, options: Options) -> Model:
        self.calls += 1
        assert self.opened.wait(30)
        return artifacts.open_model(directory, limits, options)


def test_any_number_of_threads_load_once() -> None:
    gate = Gate()
    handler = Handler(BUNDLED, open_model=gate)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(labelled, handler, "I love it") for _ in range(8)]
        handler.start()
        gate.opened.set()
        predictions = [answer.result(30) for answer in answers]
    assert gate.calls == 1
    (first, *others) = (found[0] for found in predictions)
    for other in others:
        assert other.predicted_label == first.predicted_label
        assert other.probability == pytest.approx(first.probability, abs=1e-4)


def test_it_goes_from_cold_to_loading_to_ready() -> None:
    gate = Gate()
    handler = Handler(BUNDLED, open_model=gate)
    assert handler.wait(0).state is State.COLD
    handler.start()
    while handler.status.state is State.COLD:
        pass
    assert handler.wait(0.01).state is State.LOADING
    gate.opened.set()
    handler.load()
    assert handler.wait(0).state is State.READY


def test_a_failed_load_is_told_to_everyone_who_asks(tmp_path: Path) -> None:
    handler = Handler(tmp_path / "missing")
    for _ in range(2):
        with pytest.raises(ModelError, match="missing is not a directory"):
            handler.predict(["text"])
    assert handler.status.state is State.FAILED
    assert "MODEL_DIR" in str(handler.status.failure)


def test_a_load_that_fails_for_a_reason_of_its_own_is_told_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(directory: Path, *_: object) -> Model:
        raise RuntimeError(f"nobody foresaw this in {directory}")

    handler = Handler(BUNDLED, open_model=broken)
    with pytest.raises(ModelError, match=r"^unforeseen RuntimeError; the log has more$"):
        handler.predict(["text"])
    assert handler.status.state is State.FAILED
    assert "nobody foresaw this" in caplog.text


def test_predictions_come_in_the_order_of_the_texts() -> None:
    handler = Handler(BUNDLED)
    texts = [
        "It broke at once. " * 30,
        "I love it, it is perfect",
        "Terrible, a waste of money",
    ] * 9
    together = labelled(handler, *texts)
    alone = [labelled(handler, text)[0] for text in texts]
    assert [a.predicted_label for a in together] == [b.predicted_label for b in alone]
    # Each token has an activation scale of its own, so that neighbours change nothing.
    assert [a.probability for a in together] == pytest.approx(
        [b.probability for b in alone], abs=1e-4
    )


def test_equal_texts_are_scored_once() -> None:
    class Counting(Gate):
        def __call__(self, directory: Path, limits: Limits, options: Options) -> Model:
            model = super().__call__(directory, limits, options)
            return model._replace(engine=self.count(model.engine))

        def count(self, engine: Engine) -> Engine:
            run = engine.logits
            self.rows = 0

            def logits(batch: Batch) -> np.ndarray:
                self.rows += len(batch.ids)
                return run(batch)

            engine.logits = logits  # type: ignore[method-assign]  # a spy on the real one
            return engine

    gate = Counting()
    gate.opened.set()
    found = Handler(BUNDLED, open_model=gate).predict(["fine", "bad", "fine", "fine"])
    assert gate.rows == 2
    assert found[0] == found[2] == found[3]


def test_no_texts_give_no_predictions() -> None:
    assert Handler(BUNDLED).predict([]) == []


def test_what_scoring_took_is_told() -> None:
    handler = Handler(BUNDLED)
    texts = ["fine", "fine", "It broke at once. " * 200]
    first, second = handler.score(texts), handler.score(texts)
    assert (first.usage.cold, second.usage.cold) == (True, False)
    assert (second.usage.different, second.usage.truncated) == (2, 1)
    assert second.usage.tokens == 3 + 128
    assert second.usage.infer > second.usage.queue
    assert first.usage.queue >= (handler.status.load_seconds or 99)
    assert handler.status.engine == "onnxruntime"


def test_scores_of_all_labels_are_given_when_asked_for() -> None:
    handler = Handler(BUNDLED)
    (plain,), (full,) = (handler.score(["fine"], scores=wish).predictions for wish in (False, True))
    assert isinstance(plain, Prediction)
    assert isinstance(full, Prediction)
    assert plain.scores is None
    assert full.scores is not None
    assert list(full.scores) == list(handler.status.labels) == [-1, 0, 1]
    assert sum(full.scores.values()) == pytest.approx(1)
    assert max(full.scores.values()) == full.probability == full.scores[full.predicted_label]


def test_a_slow_first_prediction_has_the_machine_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SETTLE_AFTER_SECONDS", 0.0)
    settled = threading.Event()

    def open_slow(directory: Path, limits: Limits, options: Options) -> Model:
        model = artifacts.open_model(directory, limits, options)
        run = model.engine.logits

        def logits(batch: Batch) -> np.ndarray:
            assert not settled.wait(0.2)
            return run(batch)

        model.engine.logits = logits  # type: ignore[method-assign]  # slower
        model.engine.settle = settled.set  # type: ignore[method-assign]  # at once
        return model

    Handler(BUNDLED, open_model=open_slow).predict(["fine"])
    assert settled.wait(30)


def test_a_first_prediction_is_not_held_up_after_the_process_has_stood_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "SETTLE_AFTER_SECONDS", 0.01)
    settled = threading.Event()
    clock = itertools.count(0.0, 10.0)  # ten seconds have passed whenever it is looked at

    def open_watched(directory: Path, limits: Limits, options: Options) -> Model:
        model = artifacts.open_model(directory, limits, options)
        model.engine.settle = settled.set  # type: ignore[method-assign]  # at once
        return model

    handler = Handler(BUNDLED, open_model=open_watched, clock=lambda: next(clock))
    handler.load()
    assert not settled.wait(0.5)
    handler.predict(["fine"])
    assert settled.wait(30)


def test_more_than_can_be_scored_in_time_is_refused_with_the_number_that_can() -> None:
    clock = Clock()
    settled = threading.Event()

    def open_slow(directory: Path, limits: Limits, options: Options) -> Model:
        model = artifacts.open_model(directory, limits, options)
        run = model.engine.logits

        def logits(batch: Batch) -> np.ndarray:
            clock.now += 0.01 * (batch.ids.size + PADDING)  # a hundred tokens a second
            return run(batch)

        model.engine.logits = logits  # type: ignore[method-assign]  # slower by the clock
        model.engine.settle = settled.set  # type: ignore[method-assign]  # at once
        return model

    handler = Handler(BUNDLED, open_model=open_slow, clock=clock)
    handler.predict(["fine"])
    assert settled.wait(30)
    while not (handler._loader.loaded and handler._loader.loaded.batcher.settled):
        pass
    handler.predict([f"number {place}" for place in range(60)])  # the pace is known now
    texts = [f"number {place} did not fit" for place in range(500)]
    with pytest.raises(LateError):  # the pace may be wrong, so what is near is tried
        handler.score(texts[:160], clock.now + 10)
    with pytest.raises(TooManyError) as caught:
        handler.score(texts, clock.now + 10)
    fitting = caught.value.fitting
    assert 100 < fitting < 160
    assert len(handler.score(texts[: fitting * 9 // 10], clock.now + 10).predictions) > 90
    # Equal texts cost nothing, and the number is one of records.
    with pytest.raises(TooManyError) as caught:
        handler.score([texts[0]] * 1000 + texts, clock.now + 10)
    assert 1100 < caught.value.fitting < 1200


def test_encoding_ends_when_the_deadline_passes_though_the_pace_is_unknown() -> None:
    clock = Clock()
    handler = Handler(BUNDLED, clock=clock)
    model = handler.load()
    tokenizer, begun = model.tokenizer, []

    class Slow:
        """Takes a second of the clock for each call."""

        def __getattr__(self, name: str) -> object:
            return getattr(tokenizer, name)

        def encode_batch_fast(self, texts: list[str]) -> object:
            begun.append(len(texts))
            clock.now += 1
            return tokenizer.encode_batch_fast(texts)

    assert handler._loader.loaded is not None
    handler._loader.loaded = handler._loader.loaded._replace(
        model=model._replace(encoder=cast("Tokenizer", Slow())),
    )
    texts = [f"number {place}" for place in range(100 * tokens.CHUNK)]
    with pytest.raises(LateError):
        handler.score(texts, clock.now + 5)
    assert sum(begun) == 5 * tokens.CHUNK
    handler.finish_by(clock.now + 2)
    with pytest.raises(BusyError, match="stops"):
        handler.score(texts, clock.now + 50)
    assert sum(begun) == 7 * tokens.CHUNK


def test_texts_that_were_cut_and_texts_without_a_word_are_counted_as_often_as_they_are_sent() -> (
    None
):
    handler = Handler(BUNDLED)
    long = "It broke at once. " * 200
    scored = handler.score([long, "fine", "", "\U0001f600 \U0001f600", long, "", ("", long), " "])
    assert (scored.usage.truncated, scored.usage.unknown) == (3, 4)
    assert handler.too_long(["fine", long, ("", long)]) == {long, ("", long)}


def test_a_logit_that_is_no_number_is_no_answer() -> None:
    def open_damaged(directory: Path, limits: Limits, options: Options) -> Model:
        model = artifacts.open_model(directory, limits, options)
        run = model.engine.logits

        def logits(batch: Batch) -> np.ndarray:
            found = run(batch)
            found[batch.mask.sum(axis=1) > 5, 1] = np.nan
            return found

        model.engine.logits = logits  # type: ignore[method-assign]  # as a damaged weight does
        return model

    handler = Handler(BUNDLED, open_model=open_damaged)
    assert len(handler.predict(["fine"])) == 1
    with pytest.raises(LogitError):
        handler.predict(["fine", "this text is longer, and reaches the weight"])


def test_the_first_texts_are_answered_as_later_ones() -> None:
    texts = ["fine", "It broke, and nobody answers.", "good " * 100]
    loaded = Handler(BUNDLED)
    loaded.load()
    for some in (texts, texts[:1], texts[1:2], texts[2:]):
        at_once = Handler(BUNDLED).score(some).logits
        assert at_once == pytest.approx(loaded.score(some).logits, abs=1e-4)


def test_who_waits_for_a_load_does_not_wait_for_ever() -> None:
    gate = Gate()
    handler = Handler(BUNDLED, open_model=gate)
    handler.start()
    while handler.status.state is State.COLD:
        pass
    with pytest.raises(LateError, match="still loading"):
        handler.score(["fine"], time.monotonic() + 0.05)
    gate.opened.set()
    assert len(handler.predict(["fine"])) == 1


def test_a_server_that_stops_gives_up_what_it_cannot_finish() -> None:
    handler = Handler(BUNDLED)
    handler.load()
    handler.finish_by(time.monotonic())
    with pytest.raises(BusyError, match="stops"):
        handler.predict(["fine"])


def test_a_request_imports_nothing_that_a_load_imports_at_the_same_time() -> None:
    """Of two threads that import numpy at once, one gets half of it, and fails."""
    code = (
        "import sys, pathlib, model_handler as m\n"
        "def opening(*_): sys.exit(print('numpy' in sys.modules))\n"
        "m.Handler(pathlib.Path(), open_model=opening).predict(['fine'])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
