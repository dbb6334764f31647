"""The data plane's figures, in small, on processes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from benchmarks.rehearsal import command, environments, injected_faults, rehearse_page
from benchmarks.rehearsal.rehearse_page import Burst, Faults, Found, Overhead
from rehearse.model import Serverless
from tests.conftest import BUNDLED


@pytest.fixture
def place() -> Iterator[environments.Desk]:
    made = environments.of("process", "any", BUNDLED)
    yield made
    assert not made.alive()
    made.close()


def test_no_call_is_without_an_answer_while_environments_are_killed_and_hang(
    place: environments.Desk,
) -> None:
    found = injected_faults.run(place, Serverless(1024, 2), 300, 60)
    assert found.unanswered == 0
    assert sum(found.outcomes.values()) == 300
    assert set(found.injected) == {"killed", "hung"}
    assert found.outcomes["200"] >= 300 - 2 * sum(found.injected.values())
    assert found.started > 1


def test_what_exceeds_max_concurrency_is_counted(place: environments.Desk) -> None:
    assert command.throttling(place, command.CONCURRENCY + 3) == 3


def test_times_come_in_pairs(place: environments.Desk) -> None:
    found = command.overhead(place, 20)
    assert found.pairs == 20
    assert found.past > 0
    assert found.more <= found.more_p95


def test_the_ways_through_a_rehearsal_are_compared() -> None:
    for found in command.whole("process", "any", 20):
        assert found.pairs == 20
        assert 0 < found.past < found.through


def test_the_page_says_what_was_found() -> None:
    faults = Faults(1000, {"killed": 2}, {"200": 998, "ModelFailed: x": 2}, 0, 4.2, 5, 60.0, 5.0)
    found = Found(
        "docker",
        ["nothing"],
        Overhead(20, 2.0, 2.5, 0.5, 0.9),
        Overhead(20, 2.0, 3.5, 1.5, 2.9),
        Overhead(20, 2.0, 5.5, 3.5, 4.9),
        Burst(3, 1.0, 1.5, 1.4, 1.6),
        {8: 4},
        faults,
        0,
    )
    page = rehearse_page.page("python -m benchmarks rehearsal", {"CPU": "some"}, [found])
    assert "    python -m benchmarks rehearsal\n" in page
    ways = [line for line in page.splitlines() if " | 2.00 ms | " in line]
    assert [re.findall(r"[\d.]+ ms", each)[2] for each in ways] == ["0.50 ms", "1.50 ms", "3.50 ms"]
    assert "| 8 | 4 | 4 |" in page
    assert "Calls without an answer: 0." in page
    assert "| 200 | 998 |" in page
