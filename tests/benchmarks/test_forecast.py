"""Replay a few requests on the container that waits, and simulate them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.forecast import command, forecast_page, replay
from benchmarks.harness.results import read
from rehearse.forecast.command import VALIDATION
from rehearse.forecast.profiles import Times


def test_a_replay_and_its_simulation_agree() -> None:
    """After a silence: one starts an environment, one comes too early, one finds it idle."""
    due = replay.SILENCE_SECONDS + np.array([0, 0.1, 3])
    engine = command.open_waiting()
    try:
        replayed = replay.replay(engine, 1, due, [b"{}"])
        assert not engine.alive()
    finally:
        engine.close()
    assert all(sent >= at for sent, at in zip(replayed.sent, due, strict=True))
    times = Times((1000.0,), (30.0,), (30.0,))
    simulated = replay.simulated(replayed.sent, times, 1, np.random.default_rng(0))
    for figures in (replayed.figures(), simulated):
        assert (figures["throttled"], figures["cold"]) == (1, 1)


@pytest.mark.parametrize("name", [forecast_page.WAITING, forecast_page.BUNDLED])
def test_each_forecast_prints_the_errors_of_the_page(name: str) -> None:
    published = json.loads(VALIDATION.read_text())[name]
    assert published == command.errors(read(command.BENCHMARK.json), name)
