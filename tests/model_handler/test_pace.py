"""The pace of an engine is measured by what it did lately."""

from __future__ import annotations

import pytest

from model_handler.pace import HALF_LIFE_SECONDS, Pace
from tests.clock import Clock


def run(pace: Pace, clock: Clock, seconds: float, tokens: int) -> None:
    pace.begin()
    clock.now += seconds
    pace.end(tokens)


def test_a_short_run_tells_nothing_yet() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.rate is None
    run(pace, clock, 0.5, 100)
    assert pace.rate is None
    run(pace, clock, 0.6, 120)
    assert pace.rate == pytest.approx(200, rel=0.01)


def test_pauses_do_not_count() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(3):
        run(pace, clock, 1, 100)
        clock.now += 1
    assert pace.rate == pytest.approx(100)


def test_runs_at_the_same_time_add_up() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.begin()
    pace.begin()
    clock.now += 2
    pace.end(100)
    pace.end(100)
    assert pace.rate == pytest.approx(100)


def test_what_is_new_counts_more_than_what_is_old() -> None:
    clock = Clock()
    pace = Pace(clock)
    run(pace, clock, 30, 100_000)
    for _ in range(9):
        run(pace, clock, HALF_LIFE_SECONDS, 30)
    assert pace.rate is not None
    assert pace.rate < 30


def test_what_was_measured_long_ago_tells_nothing() -> None:
    clock = Clock()
    pace = Pace(clock)
    run(pace, clock, 2, 100)
    clock.now += 0.9 * HALF_LIFE_SECONDS
    assert pace.rate == pytest.approx(50)
    clock.now += 0.2 * HALF_LIFE_SECONDS
    assert pace.rate is None
    clock.now += 86_400
    run(pace, clock, 1, 10)
    assert pace.rate == pytest.approx(10)
