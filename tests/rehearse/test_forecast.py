"""A forecast says what traffic would see, from the times that were measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.rehearse.test_command import run

SECOND = {"setup_ms": [900], "first_ms": [100], "warm_ms": [100]}


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """Return a profile of a container that starts in 0.9 s and answers in 0.1 s."""
    return write(tmp_path, {"1024": SECOND, "2048": {**SECOND, "warm_ms": [50]}})


def write(folder: Path, memory: object) -> Path:
    path = folder / "profile.json"
    about = {"image": "reviews", "cpu": "a CPU", "bytes": 1000, "memory": memory}
    path.write_text(json.dumps(about))
    return path


def trace(folder: Path, text: str) -> str:
    path = folder / "trace.csv"
    path.write_text(text)
    return str(path)


def forecast(*arguments: object) -> dict[str, Any]:
    code, out, err = run("forecast", "--json", *map(str, arguments))
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_few_requests_are_answered_warm_but_the_first(tmp_path: Path, profile: Path) -> None:
    path = trace(tmp_path, "minute,requests\n0,1\n1,1\n2,1\n")
    found = forecast("--trace", path, "--profile", profile)
    assert (found["requests"], found["cold"], found["throttled"]) == (3, 1, 0)
    assert found["p50_ms"] == pytest.approx(100)
    assert found["p999_ms"] == pytest.approx(1000, rel=0.01)
    # 3 calls of 100 ms at 1 GB and 0.00002 USD, and 3,000 bytes at 0.016 USD a GB.
    assert found["cost_usd"] == pytest.approx(3 * 0.1 * 0.00002 + 3000 / 2**30 * 0.016, abs=1e-6)


def test_after_a_silence_all_start_cold(tmp_path: Path, profile: Path) -> None:
    path = trace(tmp_path, "minute,requests\n0,1\n30,1\n60,1\n")
    given = ("--trace", path, "--profile", profile)
    assert forecast(*given)["cold"] == 3
    assert forecast(*given, "--idle-seconds", 7200)["cold"] == 1


def test_more_at_once_than_max_concurrency_are_throttled(tmp_path: Path, profile: Path) -> None:
    path = trace(tmp_path, "minute,requests\n0,1200\n")  # two at once on average
    given = ("--trace", path, "--profile", profile, "--max-concurrency")
    one, two, many = (forecast(*given, most) for most in (1, 2, 200))
    # Erlang's loss formula, for an offered load of 2: https://en.wikipedia.org/wiki/Erlang_(unit)
    assert one["throttled"] / 1200 == pytest.approx(2 / 3, abs=0.05)
    assert two["throttled"] / 1200 == pytest.approx(2 / 5, abs=0.05)
    assert many["throttled"] == 0
    assert 2 < many["most_environments"] == many["cold"] <= 200
    assert one["answered"] == one["requests"] - one["throttled"]


def test_the_memory_size_can_be_chosen(profile: Path) -> None:
    given = ("--trace", "steady", "--profile", profile)
    assert forecast(*given)["p50_ms"] == pytest.approx(100)
    assert forecast(*given, "--memory", 2048)["p50_ms"] == pytest.approx(50)


@pytest.mark.parametrize("shape", ["steady", "diurnal", "bursts"])
def test_named_traces_have_the_requests_of_their_rate(shape: str) -> None:
    given = ("--trace", shape, "--profile", "example", "--rate", 3, "--days", 2)
    found = forecast(*given)
    assert found["requests"] == pytest.approx(3 * 2 * 24 * 60, abs=1)
    assert found == forecast(*given)


def test_people_are_told_where_the_figures_come_from(profile: Path) -> None:
    code, out, _ = run("forecast", "--trace", "steady", "--profile", str(profile))
    assert code == 0
    assert re.search(r"p50 100 ms, .*throttled: 0 \(0.00%\)", out, re.S)
    assert "Times are those of reviews on a CPU" in out
    off = r"%s \d+%% for p50 and \d+%% for throttled requests"
    assert re.search(off % "a container that only waits, forecasts were off by at most", out)
    assert re.search(off % "With the bundled model it was", out)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the first line must be minute,requests"),
        ("minute,requests\n", "has no requests"),
        ("minute,requests\n0,0\n", "has no requests"),
        ("when,what\n0,1\n", "the first line must be minute,requests"),
        ("minute,requests\n0,1\n1,many\n", "line 3: two whole numbers are expected"),
        ("minute,requests\n0,1\n1,-1\n", "line 3: two whole numbers are expected"),
        ("minute,requests\n1,1\n1,1\n", "line 3: minutes must rise"),
        ("minute,requests\n0,99999999\n", "a forecast takes 20,000,000 at most"),
    ],
)
def test_a_wrong_trace_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = trace(tmp_path, text)
    code, out, err = run("forecast", "--trace", path, "--profile", "example")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert reason in err


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        ({"1024": {"setup_ms": [1]}}, "it has no 'first_ms'"),
        ({"1024": {**SECOND, "warm_ms": []}}, "warm_ms must be a list of milliseconds"),
        ({"1024": {**SECOND, "warm_ms": [-1]}}, "warm_ms must be a list of milliseconds"),
        ({"1024": {**SECOND, "warm_ms": 5}}, "is no profile"),
        ({}, "is no profile: it has no memory size"),
        ([], "is no profile"),
    ],
)
def test_a_wrong_profile_is_one_line(tmp_path: Path, memory: object, reason: str) -> None:
    code, out, err = run("forecast", "--trace", "steady", "--profile", str(write(tmp_path, memory)))
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert reason in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--memory", "4000"), "the profile has no memory size of 4000 MB; it has 1024"),
        (("--max-concurrency", "201"), "no MaxConcurrency; use 1 to 200"),
        (("--rate", "0"), "no number above 0"),
        (("--region", "nowhere-1", "--prices", "none.toml"), "none.toml cannot be read"),
        (("--trace", "missing.csv"), "missing.csv cannot be read: No such file"),
    ],
)
def test_wrong_options_are_one_line(arguments: tuple[str, ...], reason: str) -> None:
    code, out, err = run("forecast", "--trace", "steady", "--profile", "example", *arguments)
    assert (code, out) == (2, "")
    assert reason in err.splitlines()[-1]
