"""How fast the engine is, from what it did."""

from __future__ import annotations

import pytest

from model_handler.pace import WINDOW_SECONDS, Pace
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
    run(pace, clock, 0.5, 100)
    assert pace.rate == pytest.approx(200)


def test_pauses_do_not_count() -> None:
    clock = Clock()
    pace = Pace(clock)
    run(pace, clock, 1, 100)
    clock.now += 3600
    run(pace, clock, 1, 100)
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
    run(pace, clock, WINDOW_SECONDS + 1, 100_000)
    for _ in range(9):
        run(pace, clock, WINDOW_SECONDS, 30)
    assert pace.rate is not None
    assert pace.rate < 20
