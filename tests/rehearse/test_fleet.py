"""A serverless variant: how many environments there are, and who gets which."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future
from dataclasses import replace

import psutil
import pytest

from rehearse.data_plane.pools import Retired
from rehearse.engines import EngineError
from rehearse.engines.process_engine import ProcessEngine
from rehearse.model import (
    ModelFailed,
    NotReady,
    PlaneError,
    Reply,
    Serverless,
    Throttled,
    Unavailable,
)
from tests.rehearse.conftest import Make
from tests.rehearse.rig import CALM, Rig, eventually, told

HASTY = replace(CALM, serverless_start_seconds=1.0, call_seconds=0.5)


def pids(calls: list[Future[Reply]]) -> set[int]:
    return {told(call.result(60))["pid"] for call in calls}


def held(rig: Rig, count: int) -> list[Future[Reply]]:
    """Calls that wait in as many environments."""
    calls = rig.hold(count)
    eventually(lambda: rig.lines.count("holding") == count)
    assert rig.fleet.sizes() == (count, 0)
    return calls


def gone(rig: Rig) -> bool:
    """Whether a caller is told that another fleet serves."""
    try:
        rig.tell()
    except Retired:
        return True
    return False


def test_a_new_endpoint_is_warm(make: Make) -> None:
    rig = make()
    assert rig.fleet.sizes() == (1, 1)
    assert not rig.ask(do="tell").cold


def test_calls_one_after_the_other_are_answered_by_one_environment(make: Make) -> None:
    rig = make()
    assert len({rig.tell()["pid"] for _ in range(5)}) == 1
    assert rig.fleet.sizes() == (1, 1)


def test_an_environment_takes_one_request_at_a_time(make: Make) -> None:
    rig = make()
    calls = held(rig, 3)
    rig.release()
    assert len(pids(calls)) == 3
    assert sorted(call.result().cold for call in calls) == [False, True, True]
    assert sorted(seen.concurrency for seen in rig.seen) == [1, 2, 3]


def test_exactly_what_exceeds_max_concurrency_is_throttled(make: Make) -> None:
    rig = make()
    calls = rig.hold(20)
    eventually(lambda: sum(call.done() for call in calls) == 16)
    rig.release()
    errors = [call.exception(60) for call in calls]
    assert sum(isinstance(error, Throttled) for error in errors) == 16
    assert sum(error is None for error in errors) == 4
    assert sum(seen.throttled for seen in rig.seen) == 16
    assert rig.ask(do="tell")


def test_environments_start_side_by_side(make: Make) -> None:
    """Each waits for the others to be there."""
    rig = make(idle_seconds=0.0)
    rig.fleet.sweep()
    assert rig.fleet.sizes() == (0, 0)
    calls = held(rig, 4)
    rig.release()
    assert all(call.result(60).cold for call in calls)


def test_an_idle_environment_is_dropped_and_the_next_call_is_cold(make: Make) -> None:
    rig = make(idle_seconds=300.0)
    first = rig.tell()["pid"]
    rig.clock.ahead += 299
    rig.fleet.sweep()
    assert rig.fleet.sizes() == (1, 1)
    rig.clock.ahead += 2
    rig.fleet.sweep()
    assert rig.fleet.sizes() == (0, 0)
    reply = rig.ask(do="tell")
    assert reply.cold
    assert told(reply)["pid"] != first


def test_the_last_used_environment_is_used_so_that_others_become_idle(make: Make) -> None:
    rig = make(idle_seconds=300.0)
    calls = held(rig, 2)
    rig.release()
    pids(calls)
    for _ in range(3):
        rig.clock.ahead += 200
        rig.tell()
        rig.fleet.sweep()
    assert rig.fleet.sizes() == (1, 1)


def test_provisioned_environments_are_kept_warm(make: Make) -> None:
    rig = make(spec=Serverless(1024, 4, provisioned=2))
    assert rig.fleet.sizes() == (2, 2)
    rig.clock.ahead += 10_000
    rig.fleet.sweep()
    calls = held(rig, 2)
    rig.release()
    assert not any(call.result(60).cold for call in calls)
    assert not any(seen.spilled for seen in rig.seen)


def test_what_provisioned_environments_cannot_take_spills_over(make: Make) -> None:
    rig = make(spec=Serverless(1024, 4, provisioned=1))
    calls = held(rig, 3)
    rig.release()
    pids(calls)
    assert sorted(seen.spilled for seen in rig.seen) == [False, True, True]
    # The provisioned one comes first again, whichever was used last.
    rig.tell()
    assert not rig.seen[-1].spilled
    rig.clock.ahead += 10_000
    rig.fleet.sweep()
    assert rig.fleet.sizes() == (1, 1)


def test_a_provisioned_environment_that_ends_is_replaced(make: Make) -> None:
    rig = make(spec=Serverless(1024, 4, provisioned=1))
    first = rig.tell()["pid"]
    with pytest.raises(ModelFailed):
        rig.ask(do="exit")
    rig.fleet.sweep()
    eventually(lambda: rig.fleet.sizes() == (1, 1))
    reply = rig.ask(do="tell")
    assert not reply.cold
    assert told(reply)["pid"] != first


def test_a_container_that_is_never_healthy_fails_with_the_platforms_words(make: Make) -> None:
    rig = make(start=False, limits=HASTY, environment={"PING": "503"})
    with pytest.raises(NotReady) as caught:
        rig.fleet.start()
    assert str(caught.value) == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint. "
        "(the last ping was answered with 503: not today)"
    )
    assert "listening" in rig.lines


def test_a_container_that_listens_to_nobody_is_given_up(make: Make) -> None:
    rig = make(start=False, limits=HASTY, environment={"PING": "never"})
    with pytest.raises(NotReady, match="no ping was answered"):
        rig.fleet.start()


def test_a_container_that_ends_at_once_is_not_waited_for(make: Make) -> None:
    rig = make(start=False, environment={"PING": "exit"})
    with pytest.raises(NotReady, match="the container has ended"):
        rig.fleet.start()
    assert rig.lines == ["no, I will not"]


def test_a_cold_start_that_fails_is_the_calls_error_and_frees_its_place(make: Make) -> None:
    rig = make(
        spec=Serverless(1024, 1), limits=HASTY, environment={"PING": str(os.devnull)}, start=False
    )
    for _ in range(2):
        with pytest.raises(NotReady):
            rig.tell()
    assert rig.fleet.sizes() == (0, 0)
    assert [seen.throttled for seen in rig.seen] == [False, False]


def test_a_command_that_is_not_there_is_one_line(make: Make) -> None:
    rig = make(start=False)
    rig.fleet = Rig(ProcessEngine(["/nowhere/serve"]), rig.folder).fleet
    with pytest.raises(EngineError, match="`/nowhere/serve` cannot be run: No such file"):
        rig.fleet.start()


def test_an_environment_that_hangs_is_dropped_when_its_call_times_out(make: Make) -> None:
    rig = make(limits=HASTY)
    first = rig.tell()["pid"]
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(ModelFailed) as caught:
        rig.ask(do="tell")
    assert caught.value.original_status == 0
    assert caught.value.text.startswith(
        'Received server error (0) from primary with message "Your invocation timed out while '
        "waiting for a response from container primary."
    )
    reply = rig.ask(do="tell")
    assert reply.cold
    assert told(reply)["pid"] != first


def test_an_answer_that_does_not_end_is_a_time_out(make: Make) -> None:
    rig = make(limits=HASTY)
    with pytest.raises(ModelFailed, match="timed out"):
        rig.ask(do="drip")
    assert rig.ask(do="tell").cold


@pytest.mark.parametrize("fault", ["exit", "cut"])
def test_a_call_without_a_whole_answer_fails_and_the_next_is_answered(
    fault: str, make: Make
) -> None:
    rig = make()
    with pytest.raises(ModelFailed) as caught:
        rig.ask(do=fault)
    assert caught.value.original_status == 0
    assert caught.value.text == (
        'Received server error (0) from model with message "An error occurred while handling '
        'request as the model process exited.".'
    )
    assert rig.ask(do="tell").cold


def test_an_environment_that_has_ended_while_idle_costs_no_call(make: Make) -> None:
    rig = make()
    process = psutil.Process(rig.tell()["pid"])
    process.kill()
    # With all its threads.
    eventually(lambda: process.status() == psutil.STATUS_ZOMBIE and process.num_threads() == 1)
    assert rig.ask(do="tell").cold


def test_a_sweep_finds_an_environment_that_has_ended(make: Make) -> None:
    rig = make()
    os.kill(rig.tell()["pid"], signal.SIGKILL)

    def swept() -> bool:
        rig.fleet.sweep()
        return rig.fleet.sizes() == (0, 0)

    eventually(swept)
    assert rig.ask(do="tell").cold


def test_environments_are_swept_without_being_asked(make: Make) -> None:
    rig = make(idle_seconds=0.0, limits=replace(CALM, sweep_seconds=0.01))
    eventually(lambda: rig.fleet.sizes() == (0, 0))


def test_another_concurrency_takes_place_without_a_cold_start(make: Make) -> None:
    rig = make(environment={"VERSION": "1"})
    first = rig.tell()["pid"]
    rig.fleet.resize(Serverless(1024, 2, provisioned=1))
    calls = held(rig, 2)
    with pytest.raises(Throttled):
        rig.tell()
    rig.release()
    assert first in pids(calls)
    rig.fleet.resize(Serverless(1024, 3))
    rig.clock.ahead += 10_000
    rig.fleet.sweep()
    assert rig.fleet.sizes() == (0, 0)


def test_a_call_that_is_under_way_when_all_ends_gets_an_error(make: Make) -> None:
    rig = make()
    (call,) = held(rig, 1)
    rig.fleet.close()
    assert isinstance(call.exception(60), Unavailable)
    with pytest.raises(Unavailable):
        rig.tell()


def test_what_is_under_way_is_answered_before_a_fleet_is_drained(make: Make) -> None:
    rig = make()
    calls = held(rig, 2)
    drained = rig.threads.submit(rig.fleet.drain)
    eventually(lambda: gone(rig))
    assert not drained.done()
    rig.release()
    assert all(told(call.result(60)) for call in calls)
    drained.result(60)
    assert rig.fleet.sizes() == (0, 0)
    assert gone(rig)


def test_a_start_that_is_under_way_when_all_ends_leaves_nothing(make: Make) -> None:
    rig = make(start=False, environment={"PING": "503"})
    call = rig.threads.submit(rig.tell)
    eventually(lambda: "listening" in rig.lines)
    rig.fleet.close()
    assert isinstance(call.exception(60), PlaneError)


def test_ending_twice_does_no_harm(make: Make) -> None:
    rig = make()
    rig.fleet.close()
    rig.fleet.close()
