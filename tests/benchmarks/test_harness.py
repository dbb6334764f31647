"""What all benchmarks stand on: servers that are started, clients, texts and figures."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from benchmarks.harness import servers, texts
from benchmarks.harness.client import AnswerError, Client, body
from benchmarks.harness.statistics import Latencies
from tests.conftest import BUNDLED


def test_a_server_is_stopped_and_leaves_nobody_behind() -> None:
    with servers.running(servers.ours(BUNDLED), {0}) as running:
        (answer,) = running.wait(body(texts.FIRST))
        assert answer["predicted_label"] == 1
        assert running.peak_rss() > running.pss() > 10
        processes = servers.tree(running.process.pid)
    assert len(processes) > 1
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


def test_invented_reviews_are_as_long_as_real_ones() -> None:
    words = sorted(len(text.split()) for text in texts.invented())
    # Of the clothing reviews: a tenth under 21 words, half under 58, a tenth over 98.
    assert words[len(words) // 10] == pytest.approx(21, abs=6)
    assert statistics.median(words) == pytest.approx(58, abs=6)
    assert words[-len(words) // 10] == pytest.approx(98, abs=6)
    assert 4_000_000 <= len(texts.large(texts.invented())) <= 4 * 1024 * 1024


def test_who_waits_for_a_server_that_has_ended_is_told() -> None:
    with pytest.raises(AnswerError, match="has ended"):
        Client(servers.free_port()).wait(body("x"), lambda: False)


def test_a_percentile_is_the_nearest_rank() -> None:
    near = pytest.approx  # three digits are kept
    assert Latencies(number / 1e3 for number in range(1, 101)).at(99) == near(99, rel=1e-3)
    assert Latencies([3e-3, 1e-3, 2e-3]).at(50) == near(2, rel=1e-3)
    assert Latencies([1e-3]).at(99) == near(1, rel=1e-3)
