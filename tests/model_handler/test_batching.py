"""Rows that wait together run together, and each gets its own answer."""

from __future__ import annotations

import threading
import time
from array import array
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from model_handler import BusyError, LateError, TooManyError
from model_handler.batching import PADDING, Batcher
from model_handler.tokens import Batch, Row
from tests.clock import Clock


class Engine:
    """Answers each row with its sum; waits for a gate when told to; remembers its runs."""

    def __init__(self, open_gate: bool = True) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.runs: list[np.ndarray] = []
        if open_gate:
            self.gate.set()

    def logits(self, batch: Batch) -> np.ndarray:
        ids, mask = batch.ids, batch.mask
        self.entered.set()
        assert self.gate.wait(30)
        self.runs.append(mask)
        if (ids == 666).any():
            raise ValueError("this row cannot be scored")
        found: np.ndarray = (ids * mask).sum(axis=1, keepdims=True).astype(np.float32)
        return found

    def prove(self) -> None: ...

    def settle(self) -> None: ...


def row(length: int, first: int = 7) -> Row:
    return Row(array("i", [first, *range(1, length)]))


def batcher(engine: Engine, runs: int = 1) -> Batcher:
    return Batcher(engine, pad_id=0, budget=256, runs=runs)


def test_answers_come_in_the_order_of_the_rows() -> None:
    rows = [row(1 + place * 37 % 90, place) for place in range(200)]
    found = batcher(Engine()).logits(rows).logits
    assert found[:, 0].tolist() == [sum(each.ids) for each in rows]


def test_no_run_is_over_the_budget_and_rows_of_one_run_are_nearly_as_long() -> None:
    engine = Engine()
    batcher(engine).logits([row(1 + place * 37 % 300, place) for place in range(400)])
    for mask in engine.runs:
        lengths = mask.sum(axis=1)
        assert len(mask) == 1 or (mask.size <= 256 and np.ptp(lengths) <= PADDING)
    assert max(map(len, engine.runs)) > 10


def test_padding_is_less_than_a_twentieth() -> None:
    engine = Engine()
    batcher(engine).logits([row(20 + place * 37 % 109, place) for place in range(64)])
    padded, real = (sum(map(count, engine.runs)) for count in (np.size, np.sum))
    assert padded / real < 1.05


def test_what_waits_when_the_engine_is_free_is_one_run() -> None:
    engine = Engine(open_gate=False)
    shared = batcher(engine)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(shared.logits, [row(20)])
        assert engine.entered.wait(30)
        others = [pool.submit(shared.logits, [row(20, place)]) for place in range(8)]
        while len(shared._jobs) < 8:
            pass
        engine.gate.set()
        assert [other.result(30).logits[0, 0] for other in others] == [
            sum(row(20, place).ids) for place in range(8)
        ]
        assert first.result(30).logits[0, 0] == sum(row(20).ids)
    assert [len(mask) for mask in engine.runs] == [1, 8]


def test_a_large_request_does_not_hold_up_a_small_one() -> None:
    engine = Engine(open_gate=False)
    shared = batcher(engine)
    with ThreadPoolExecutor(2) as pool:
        large = pool.submit(shared.logits, [row(200, place) for place in range(50)])
        assert engine.entered.wait(30)
        small = pool.submit(shared.logits, [row(3)])
        while len(shared._jobs) < 2:
            pass
        engine.gate.set()
        small.result(30)
        large.result(30)
    assert [mask.shape for mask in engine.runs[:2]] == [(1, 200), (1, 3)]


def test_a_run_that_fails_fails_its_requests_and_no_others() -> None:
    shared = batcher(Engine())
    with pytest.raises(ValueError, match="cannot be scored"):
        shared.logits([row(4), row(2, 666)])
    assert shared.logits([row(4)]).logits[0, 0] == sum(row(4).ids)


def test_as_many_runs_as_are_allowed_go_at_a_time() -> None:
    engine = Engine(open_gate=False)
    shared = batcher(engine, runs=2)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(shared.logits, [row(20 * count)]) for count in (1, 2, 3)]
        while len(shared._jobs) != 1:  # two of them run, one waits
            pass
        assert shared._free == 0
        engine.gate.set()
        assert [answer.result(30).logits[0, 0] for answer in answers] == [
            sum(row(20 * count).ids) for count in (1, 2, 3)
        ]


class Slow(Engine):
    """Takes a second of the clock for each token, padding and all."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def logits(self, batch: Batch) -> np.ndarray:
        self.clock.now += batch.ids.size + PADDING
        return super().logits(batch)


def slow() -> tuple[Batcher, Clock, Slow]:
    """Give a batcher on an engine of one token a second, whose pace is known."""
    clock = Clock()
    engine = Slow(clock)
    shared = Batcher(engine, pad_id=0, budget=20, clock=clock)
    shared.logits([row(10)])
    engine.runs.clear()
    return shared, clock, engine


def test_what_cannot_be_done_in_time_is_refused_before_it_is_begun() -> None:
    shared, clock, engine = slow()
    with pytest.raises(TooManyError) as caught:
        shared.logits([row(10)] * 20, clock.now + 100)
    assert caught.value.tokens == pytest.approx(100)
    assert engine.runs == []


def test_what_may_be_done_in_time_by_a_margin_is_tried() -> None:
    shared, clock, engine = slow()
    with pytest.raises(LateError):  # it was not
        shared.logits([row(10)] * 14, clock.now + 100)
    assert engine.runs


def test_small_runs_and_an_engine_that_has_not_settled_tell_no_pace() -> None:
    clock = Clock()
    engine = Slow(clock)
    shared = Batcher(engine, pad_id=0, budget=200, clock=clock)
    for _ in range(15):
        shared.logits([row(3)], clock.now + 100)
    assert shared.affordable(clock.now + 100) == float("inf")
    shared.settled = False
    shared.logits([row(190)])
    assert shared.affordable(clock.now + 100) == float("inf")
    shared.settled = True
    shared.logits([row(190)])
    assert shared.affordable(clock.now + 100) == pytest.approx(100)


def test_a_deadline_that_passes_ends_the_computing() -> None:
    clock = Clock()
    engine = Slow(clock)
    shared = Batcher(engine, pad_id=0, budget=20, clock=clock)
    shared.stop.at = clock.now + 20
    with pytest.raises(BusyError, match="stops"):
        shared.logits([row(10)] * 4)  # as the server stops
    shared.stop.at = float("inf")
    clock.now += 100
    runs = len(engine.runs)
    with pytest.raises(LateError):
        shared.logits([row(10)], clock.now)
    assert len(engine.runs) == runs
    assert shared.logits([row(10)]).logits[0, 0] == sum(row(10).ids)


def test_a_first_request_that_is_too_large_is_refused_once_the_pace_is_known() -> None:
    clock = Clock()
    shared = Batcher(Slow(clock), pad_id=0, budget=20, clock=clock)
    with pytest.raises(TooManyError) as caught:
        shared.logits([row(10)] * 100, clock.now + 200)
    assert caught.value.tokens == pytest.approx(200)
    assert clock.now < 200


def test_a_crowd_is_refused_what_would_be_late_because_of_it() -> None:
    clock = Clock()
    engine = Slow(clock)
    shared = Batcher(engine, pad_id=0, budget=10, clock=clock)
    shared.logits([row(10)])
    engine.gate.clear()
    engine.entered.clear()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(shared.logits, [row(10, place)] * 4) for place in range(2)]
        assert engine.entered.wait(30)
        while len(shared._jobs) < 2:
            pass
        with pytest.raises(BusyError, match="wait") as caught:
            shared.logits([row(10)] * 4, clock.now + 60)
        assert caught.value.seconds > 0
        # A small one has its turn soon enough: of the large only as much comes first.
        small = pool.submit(shared.logits, [row(10)], clock.now + 60)
        engine.gate.set()
        assert len(small.result(30).logits) == 1
        assert [len(large.result(30).logits) for large in waiting] == [4, 4]


def test_a_request_that_gives_up_leaves_the_others_served() -> None:
    engine = Engine(open_gate=False)
    shared = batcher(engine)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(shared.logits, [row(20)])
        assert engine.entered.wait(30)
        late = pool.submit(shared.logits, [row(20)], time.monotonic() + 0.05)
        patient = pool.submit(shared.logits, [row(20, 3)])
        with pytest.raises(LateError):
            late.result(30)
        engine.gate.set()
        assert patient.result(30).logits[0, 0] == sum(row(20, 3).ids)
        first.result(30)
    assert sum(map(len, engine.runs)) == 2


def test_seconds_of_waiting_and_of_computing_are_told_apart() -> None:
    shared, _, _ = slow()
    run = shared.logits([row(10), row(10)])
    assert (run.queued, run.computed) == (0, 28)


def test_a_crowd_on_several_runs_gets_every_answer() -> None:
    shared = batcher(Engine(), runs=3)
    with ThreadPoolExecutor(32) as pool:
        rows = [[row(1 + (place * 7 + n) % 90, place) for n in range(5)] for place in range(300)]
        for asked, found in zip(rows, pool.map(shared.logits, rows), strict=True):
            assert found.logits[:, 0].tolist() == [sum(each.ids) for each in asked]
