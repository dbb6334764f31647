"""A variant of instances: one container that is kept up."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from rehearse.model import Instance, ModelFailed, NotReady, Oversize, Unavailable
from tests.rehearse.conftest import Make
from tests.rehearse.rig import CALM, Rig, eventually, told

LARGE = Instance("ml.m5.large")


def test_an_instance_takes_all_calls_at_once_in_one_container(make: Make) -> None:
    rig = make(spec=LARGE)
    calls = rig.hold(8)
    eventually(lambda: rig.lines.count("holding") == 8)
    rig.release()
    assert len({told(call.result(60))["pid"] for call in calls}) == 1
    assert not any(seen.cold or seen.spilled for seen in rig.seen)


def test_an_instance_is_never_idle_for_too_long(make: Make) -> None:
    rig = make(spec=LARGE, idle_seconds=0.0)
    rig.fleet.sweep()
    assert rig.fleet.sizes() == (1, 1)


def test_a_container_that_ends_is_started_again(make: Make) -> None:
    rig = make(spec=LARGE)
    first = rig.tell()["pid"]
    with pytest.raises(ModelFailed):
        rig.ask(do="exit")
    eventually(lambda: answers(rig) and rig.tell()["pid"] != first)


def test_a_sweep_finds_a_container_that_has_ended(make: Make) -> None:
    rig = make(spec=LARGE)
    first = rig.tell()["pid"]
    os.kill(first, signal.SIGKILL)

    eventually(lambda: answers(rig) and rig.tell()["pid"] != first)


def test_a_container_that_answers_no_ping_is_started_again(make: Make) -> None:
    rig = make(spec=LARGE, limits=replace(CALM, ping_seconds=0.1, call_seconds=0.5))
    first = rig.tell()["pid"]

    def ping(times: int) -> None:
        for _ in range(times):
            rig.clock.ahead += CALM.instance_ping_seconds
            rig.fleet.sweep()

    os.kill(first, signal.SIGSTOP)
    ping(2)  # it may just be slow
    os.kill(first, signal.SIGCONT)
    ping(1)
    assert rig.tell()["pid"] == first
    os.kill(first, signal.SIGSTOP)
    ping(3)
    eventually(lambda: answers(rig))
    assert rig.tell()["pid"] != first


def test_a_slow_call_does_not_end_an_instance(make: Make) -> None:
    rig = make(spec=LARGE, limits=replace(CALM, call_seconds=0.5))
    first = rig.tell()["pid"]
    (call,) = rig.hold(1)
    assert isinstance(call.exception(60), ModelFailed)
    assert rig.tell()["pid"] == first


def test_a_container_that_cannot_be_started_again_is_tried_until_the_end(make: Make) -> None:
    ping = "a file"
    rig = make(spec=LARGE, start=False)
    path = rig.folder / ping
    path.write_text("200")
    rig.fleet = Rig(
        rig.engine,
        rig.folder,
        LARGE,
        replace(CALM, instance_start_seconds=0.5),
        {"PING": str(path)},
        lines=rig.lines,
    ).fleet
    rig.fleet.start()
    path.write_text("503")
    with pytest.raises(ModelFailed):
        rig.ask(do="exit")
    eventually(lambda: not answers(rig))
    with pytest.raises(Unavailable, match="started again"):
        rig.tell()
    eventually(lambda: any("did not pass the ping health check" in line for line in rig.lines))
    path.write_text("200")
    eventually(lambda: answers(rig))


def test_a_container_that_is_never_healthy_fails(make: Make) -> None:
    rig = make(
        spec=LARGE,
        start=False,
        limits=replace(CALM, instance_start_seconds=0.5),
        environment={"PING": "500"},
    )
    with pytest.raises(NotReady):
        rig.fleet.start()


def test_an_instance_takes_larger_bodies(make: Make) -> None:
    rig = make(spec=LARGE)
    assert rig.ask(do="reply", status=200, text="x" * 5_000_000).body
    with pytest.raises(Oversize):
        rig.ask(do="reply", status=200, text="x" * 7_000_000)


def test_another_number_of_instances_changes_nothing_here(make: Make) -> None:
    rig = make(spec=LARGE)
    first = rig.tell()["pid"]
    rig.fleet.resize(Instance("ml.m5.large", 2))
    assert rig.tell()["pid"] == first


def test_the_time_that_a_container_has_to_leave_ends_with_the_rehearsal(make: Make) -> None:
    rig = make(spec=LARGE, environment={"STUBBORN": "yes"})
    rig.tell()
    drained = rig.threads.submit(rig.fleet.drain)
    eventually(lambda: rig.fleet.sizes() == (0, 0))
    assert not drained.done()
    rig.fleet.close()
    drained.result(5)


def test_a_start_that_is_under_way_when_all_ends_leaves_nothing(make: Make) -> None:
    rig = make(spec=LARGE, start=False, environment={"PING": "503"})
    starting = rig.threads.submit(rig.fleet.start)
    eventually(lambda: "listening" in rig.lines)
    rig.fleet.close()
    assert isinstance(starting.exception(60), Unavailable)
    with pytest.raises(Unavailable):
        rig.fleet.start()


def answers(rig: Rig) -> bool:
    rig.fleet.sweep()
    try:
        rig.tell()
    except (Unavailable, ModelFailed):
        return False
    return True
