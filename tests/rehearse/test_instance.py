"""An instance variant keeps one container running."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from rehearse.data_types import InstanceConfig
from rehearse.errors import ModelError, ModelNotReady, Oversize, ServiceUnavailable
from tests.rehearse.conftest import Make
from tests.rehearse.scripted_variant import NO_SWEEPS, ScriptedVariant, told
from tests.rehearse.waiting import eventually, freeze

LARGE = InstanceConfig("ml.m5.large")


def test_an_instance_takes_all_calls_at_once_in_one_container(make: Make) -> None:
    scripted = make(config=LARGE)
    calls = scripted.hold(8)
    eventually(lambda: scripted.lines.count("holding") == 8)
    scripted.release()
    assert len({told(call.result(60))["pid"] for call in calls}) == 1
    assert not any(seen.cold or seen.spilled for seen in scripted.seen)


def test_an_instance_is_never_idle_for_too_long(make: Make) -> None:
    scripted = make(config=LARGE, idle_seconds=0.0)
    scripted.variant.sweep()
    assert scripted.variant.sizes() == (1, 1)


def test_a_container_that_ends_is_started_again(make: Make) -> None:
    scripted = make(config=LARGE)
    first = scripted.tell()["pid"]
    with pytest.raises(ModelError):
        scripted.ask(do="exit")
    eventually(lambda: answers(scripted) and scripted.tell()["pid"] != first)


def test_a_sweep_finds_a_container_that_has_ended(make: Make) -> None:
    scripted = make(config=LARGE)
    first = scripted.tell()["pid"]
    os.kill(first, signal.SIGKILL)

    eventually(lambda: answers(scripted) and scripted.tell()["pid"] != first)


def test_a_container_that_answers_no_ping_is_started_again(make: Make) -> None:
    scripted = make(config=LARGE, quotas=replace(NO_SWEEPS, ping_seconds=0.1, call_seconds=0.5))
    first = scripted.tell()["pid"]

    def ping(times: int) -> None:
        for _ in range(times):
            scripted.clock.ahead += NO_SWEEPS.instance_ping_seconds
            scripted.variant.sweep()

    freeze(first)
    ping(2)  # it may just be slow
    os.kill(first, signal.SIGCONT)
    ping(1)
    assert scripted.tell()["pid"] == first
    freeze(first)
    ping(3)
    eventually(lambda: answers(scripted))
    assert scripted.tell()["pid"] != first


def test_a_slow_call_does_not_end_an_instance(make: Make) -> None:
    scripted = make(config=LARGE, quotas=replace(NO_SWEEPS, call_seconds=0.5))
    first = scripted.tell()["pid"]
    (call,) = scripted.hold(1)
    assert isinstance(call.exception(60), ModelError)
    assert scripted.tell()["pid"] == first


def test_a_container_that_cannot_be_started_again_is_tried_until_the_end(make: Make) -> None:
    ping = "a file"
    scripted = make(config=LARGE, start=False)
    path = scripted.folder / ping
    path.write_text("200")
    scripted.variant = ScriptedVariant(
        scripted.engine,
        scripted.folder,
        LARGE,
        replace(NO_SWEEPS, instance_start_seconds=0.5),
        {"PING": str(path)},
        lines=scripted.lines,
    ).variant
    scripted.variant.start()
    path.write_text("503")
    with pytest.raises(ModelError):
        scripted.ask(do="exit")
    eventually(lambda: not answers(scripted))
    with pytest.raises(ServiceUnavailable, match="started again"):
        scripted.tell()
    eventually(lambda: any("did not pass the ping health check" in line for line in scripted.lines))
    path.write_text("200")
    eventually(lambda: answers(scripted))


def test_a_container_that_is_never_healthy_fails(make: Make) -> None:
    scripted = make(
        config=LARGE,
        start=False,
        quotas=replace(NO_SWEEPS, instance_start_seconds=0.5),
        environment={"PING": "500"},
    )
    with pytest.raises(ModelNotReady):
        scripted.variant.start()


def test_an_instance_takes_larger_bodies(make: Make) -> None:
    scripted = make(config=LARGE)
    assert scripted.ask(do="reply", status=200, text="x" * 5_000_000).body
    with pytest.raises(Oversize):
        scripted.ask(do="reply", status=200, text="x" * 7_000_000)


def test_another_number_of_instances_changes_nothing_here(make: Make) -> None:
    scripted = make(config=LARGE)
    first = scripted.tell()["pid"]
    scripted.variant.resize(InstanceConfig("ml.m5.large", 2))
    assert scripted.tell()["pid"] == first


def test_the_time_that_a_container_has_to_leave_ends_with_the_rehearsal(make: Make) -> None:
    scripted = make(config=LARGE, environment={"STUBBORN": "yes"})
    scripted.tell()
    drained = scripted.threads.submit(scripted.variant.drain)
    eventually(lambda: scripted.variant.sizes() == (0, 0))
    assert not drained.done()
    scripted.variant.close()
    drained.result(5)


def test_a_start_that_is_under_way_when_all_ends_leaves_nothing(make: Make) -> None:
    scripted = make(config=LARGE, start=False, environment={"PING": "503"})
    starting = scripted.threads.submit(scripted.variant.start)
    eventually(lambda: "listening" in scripted.lines)
    scripted.variant.close()
    assert isinstance(starting.exception(60), ServiceUnavailable)
    with pytest.raises(ServiceUnavailable):
        scripted.variant.start()


def answers(scripted: ScriptedVariant) -> bool:
    scripted.variant.sweep()
    try:
        scripted.tell()
    except (ServiceUnavailable, ModelError):
        return False
    return True
