"""Measure the data plane of the rehearsal in small, on processes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from benchmarks.harness.results import Results
from benchmarks.rehearsal import command, injected_faults, rehearse_page
from benchmarks.rehearsal.recording_engine import RecordingEngine, open_engine
from tests.conftest import BUNDLED


@pytest.fixture
def engine() -> Iterator[RecordingEngine]:
    opened = open_engine("process", "any", BUNDLED)
    yield opened
    assert not opened.alive()
    opened.close()


def test_no_call_is_without_an_answer_while_environments_are_killed_and_hang(
    engine: RecordingEngine,
) -> None:
    found = injected_faults.run(engine, 2, 300, 60)
    injected, outcomes = (rehearse_page.named(found, name) for name in ("injected ", "outcome "))
    assert found["unanswered"] == 0
    assert sum(outcomes.values()) == 300
    assert set(injected) == {"killed", "hung"}
    assert outcomes["200"] >= 300 - 2 * sum(injected.values())
    assert found["started"] > 1


def test_what_exceeds_max_concurrency_is_counted(engine: RecordingEngine) -> None:
    assert command.throttling(engine, command.CONCURRENCY + 3) == 3


def test_times_come_in_pairs(engine: RecordingEngine) -> None:
    found = command.overhead(engine, 20)
    assert found["pairs"] == 20
    assert found["past"] > 0
    assert found["more"] <= found["more_p95"]


def test_the_ways_through_a_rehearsal_are_compared() -> None:
    found = command.whole("process", "any", 20)
    assert set(found) == {"HTTP", "boto3"}
    for way in found.values():
        assert way["pairs"] == 20
        assert 0 < way["past"] < way["through"]


def test_the_page_says_what_was_found() -> None:
    found = Results("python -m benchmarks rehearsal", {"CPU": "some"})
    found.say("docker", {"limits": "nothing"})
    for way, more in zip(rehearse_page.WAYS, (0.5, 1.5, 3.5), strict=True):
        times = {"past": 2, "through": 2 + more, "more": more, "more_p95": more + 0.4}
        found.add(f"docker, {way}", {"pairs": 20, **times})
    found.add("docker", {"alone": 1.0, "together": 1.5, "throttled of 8": 4})
    found.add("docker", {"calls": 1000, "seconds": 60, "injected killed": 2, "unanswered": 0})
    found.add("docker", {"longest": 4.2, "call_seconds": 5, "started": 5, "left": 0})
    found.add("docker", {"outcome 200": 998, "outcome ModelFailed: x": 2})
    page = rehearse_page.page(found)
    assert "    python -m benchmarks rehearsal\n" in page
    ways = [line for line in page.splitlines() if " | 2.00 ms | " in line]
    assert [re.findall(r"[\d.]+ ms", each)[2] for each in ways] == ["0.50 ms", "1.50 ms", "3.50 ms"]
    assert "| 8 | 4 | 4 |" in page
    assert "Calls without an answer: 0." in page
    assert "| 200 | 998 |" in page
