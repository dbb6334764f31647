"""`rehearse size` measures memory sizes, says what they cost, and which to deploy."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from rehearse.container_engines.process_engine import ProcessEngine
from rehearse.data_types import ContainerDefinition
from rehearse.errors import ModelError
from rehearse.forecast.profiles import Profile, Times
from rehearse.metering.prices import Prices
from rehearse.sizing import comparison
from rehearse.sizing.measurement import Measured, Sandbox, measure
from tests.rehearse.test_command import REHEARSE, run

RECORD = '{"features": ["Fits well, warm and cheap."]}\n'
PRICES = Prices.read("us-east-1")


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    """Return a file of three requests."""
    path = tmp_path / "reviews.jsonl"
    path.write_text(3 * RECORD)
    return str(path)


def size(*arguments: str) -> tuple[int, str, str]:
    return run("size", "--engine", "process", "--starts", "1", "--calls", "5", *arguments)


def test_sizes_are_measured_and_one_is_recommended(tmp_path: Path, reviews: str) -> None:
    given = ("--requests", reviews, "--memory", "1024,2048", "--out", str(tmp_path))
    code, out, _ = size(*given, "--json", "--traffic", "diurnal", "--rate", "2")
    assert code == 0
    found = json.loads(out)
    assert [each["memory_mb"] for each in found["measured"]] == [1024, 2048]
    for each in found["measured"]:
        assert each["failure"] is None
        assert each["largest"] == 10_000
        assert 50 < each["peak_mb"] < 1024
        assert each["median_setup_ms"] > each["median_warm_ms"] > 0
    for each in found["costs"]:
        assert each["p50_ms"]["low"] <= each["p50_ms"]["value"] <= each["p50_ms"]["high"]
        assert each["traffic"]["requests"] == pytest.approx(2 * 24 * 60, abs=1)
        assert each["traffic"]["throttled"] <= 0.001 * each["traffic"]["requests"]
    chosen = found["recommendation"]
    # Processes have the same CPUs whatever the memory size, so either may cost a little less.
    assert (chosen["kind"], chosen["memory_mb"]) in (("serverless", 1024), ("serverless", 2048))
    assert {each["kind"] for each in chosen["options"]} >= {"serverless", "provisioned"}
    assert chosen["break_even_requests"] > chosen["requests_a_month"]
    code, out, _ = run("forecast", "--trace", "steady", "--profile", f"{tmp_path}/profile.json")
    assert (code, out.startswith("14,400 requests at 1024 MB")) == (0, True)


def test_people_are_told_in_a_table(tmp_path: Path, reviews: str) -> None:
    code, out, _ = size("--requests", reviews, "--memory", "1024", "--out", str(tmp_path))
    assert code == 0
    assert out.splitlines()[0].split()[:2] == ["memory,", "MB"]
    assert "1024 MB: answers 10,000 records in one body" in out
    assert re.search(r"Recommended: serverless, on demand, 1024 MB, MaxConcurrency \d\.", out)
    assert "the platform's CPU is assumed to take 1 times as long" in out


def measured(engine: ProcessEngine, record: dict[str, object], **environment: str) -> Measured:
    definition = ContainerDefinition("scripted", None, environment)
    return measure(Sandbox(engine, definition, 1024), [json.dumps(record).encode()], 1, 3)


def test_a_body_that_ends_the_container_is_a_result(engine: ProcessEngine) -> None:
    # The scripted container takes one JSON value in a body, and breaks off at more.
    found = measured(engine, {"do": "tell"})
    assert len(found.warm_ms) == 3
    assert (found.largest, found.failure) == (
        1,
        "dies at 3 records: An error occurred while handling request as the model process exited.",
    )


def test_a_size_that_cannot_answer_is_a_result(engine: ProcessEngine) -> None:
    found = measured(engine, {"do": "exit"})
    assert found.times is None
    assert (found.failure or "").startswith("dies at a single record: ")
    found = measured(engine, {"do": "tell"}, PING="exit")
    assert "did not pass the ping health check" in (found.failure or "")


def test_requests_that_the_container_refuses_are_no_result(engine: ProcessEngine) -> None:
    with pytest.raises(ModelError, match=r'client error \(400\) from primary with message "no"'):
        measured(engine, {"do": "reply", "status": 400, "text": "no"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no records"),
        ("\n \n", "has no records"),
        (RECORD + "not json\n", "line 2: this is not JSON"),
        ("\udcff", "line 1: this is not JSON"),
    ],
)
def test_wrong_requests_are_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text(text, errors="surrogateescape")
    code, out, err = size("--requests", str(path))
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert reason in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--memory", "1000"), "'1000' has other memory sizes than 1024, 2048"),
        (("--traffic", "none.csv"), "none.csv cannot be read"),
        (("--out", "/nowhere"), "/nowhere is no folder"),
        (("--model", "/nowhere"), "/nowhere is no folder"),
        (("--calls", "0"), "'0' is no number from 1"),
    ],
)
def test_wrong_options_are_one_line(reviews: str, arguments: tuple[str, ...], reason: str) -> None:
    code, out, err = size("--requests", reviews, *arguments)
    assert (code, out) == (2, "")
    assert reason in err.splitlines()[-1]


def test_a_model_that_a_container_cannot_read_is_one_line(tmp_path: Path, reviews: str) -> None:
    weights = tmp_path / "model.safetensors"
    weights.touch(mode=0o600)
    tmp_path.chmod(0o755)
    code, out, err = size("--requests", reviews, "--model", str(tmp_path), "--engine", "docker")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith(
        f"{weights} is not for every user to read; chmod -R a+rX {tmp_path}"
    )


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_running(tmp_path: Path, reviews: str, end: signal.Signals) -> None:
    given = ["--requests", reviews, "--calls", "100000", "--out", str(tmp_path)]
    process = subprocess.Popen([*REHEARSE, "size", "--engine", "process", *given])
    try:
        while not (children := psutil.Process(process.pid).children()):
            assert process.poll() is None
        process.send_signal(end)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert not (tmp_path / "profile.json").exists()


def chosen(counts: list[int], **warm: list[float]) -> comparison.Recommendation:
    """Recommend for an image that takes such times, by memory size."""
    memory = {
        int(size.removeprefix("mb")): Times((500.0,), (100.0,), tuple(times))
        for size, times in warm.items()
    }
    profile = Profile("image", "cpu", 1000, memory)
    costs = [comparison.costs(profile, size, counts, PRICES) for size in memory]
    return comparison.recommend(costs, profile, counts, PRICES)


def test_more_memory_that_halves_the_time_costs_the_same_and_is_chosen() -> None:
    counts = [10] * 60
    assert chosen(counts, mb1024=[100.0], mb2048=[50.0]).memory_mb == 2048
    assert chosen(counts, mb1024=[100.0], mb2048=[90.0]).memory_mb == 1024


def test_traffic_that_never_ends_goes_to_an_instance() -> None:
    busy = chosen([600] * 60, mb1024=[100.0])
    assert busy.kind == "instance"
    assert busy.requests_a_month > busy.break_even_requests
    rare = chosen([1] * 60, mb1024=[100.0])
    assert (rare.kind, rare.max_concurrency) == ("serverless", 1)
    assert rare.requests_a_month < rare.break_even_requests


def test_a_burst_needs_more_environments() -> None:
    quiet, burst = chosen([60] * 30, mb1024=[100.0]), chosen([0] * 29 + [1800], mb1024=[100.0])
    assert quiet.max_concurrency < burst.max_concurrency < 60
