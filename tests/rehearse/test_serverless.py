"""A serverless variant has as many environments as it needs, and calls get the right one."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future
from dataclasses import replace

import psutil
import pytest

from rehearse.container_engines.process_engine import ProcessEngine
from rehearse.data_types import InvocationResponse, ServerlessConfig
from rehearse.errors import (
    ContainerEngineError,
    InvocationError,
    ModelError,
    ModelNotReady,
    ServiceUnavailable,
    Throttled,
    VariantReplaced,
)
from tests.rehearse.conftest import Make
from tests.rehearse.scripted_variant import NO_SWEEPS, ScriptedVariant, told
from tests.rehearse.waiting import eventually, freeze

HASTY = replace(NO_SWEEPS, serverless_start_seconds=1.0, call_seconds=0.5)


def pids(calls: list[Future[InvocationResponse]]) -> set[int]:
    return {told(call.result(60))["pid"] for call in calls}


def held(scripted: ScriptedVariant, count: int) -> list[Future[InvocationResponse]]:
    """Return calls that wait in as many environments."""
    calls = scripted.hold(count)
    eventually(lambda: scripted.lines.count("holding") == count)
    assert scripted.variant.sizes() == (count, 0)
    return calls


def gone(scripted: ScriptedVariant) -> bool:
    """Return whether a caller is told that another variant serves."""
    try:
        scripted.tell()
    except VariantReplaced:
        return True
    return False


def test_a_new_endpoint_is_warm(make: Make) -> None:
    scripted = make()
    assert scripted.variant.sizes() == (1, 1)
    assert not scripted.ask(do="tell").cold


def test_calls_one_after_the_other_are_answered_by_one_environment(make: Make) -> None:
    scripted = make()
    assert len({scripted.tell()["pid"] for _ in range(5)}) == 1
    assert scripted.variant.sizes() == (1, 1)


def test_an_environment_takes_one_request_at_a_time(make: Make) -> None:
    scripted = make()
    calls = held(scripted, 3)
    scripted.release()
    assert len(pids(calls)) == 3
    assert sorted(call.result().cold for call in calls) == [False, True, True]
    assert sorted(seen.concurrency for seen in scripted.seen) == [1, 2, 3]


def test_exactly_what_exceeds_max_concurrency_is_throttled(make: Make) -> None:
    scripted = make()
    calls = scripted.hold(20)
    eventually(lambda: sum(call.done() for call in calls) == 16)
    scripted.release()
    errors = [call.exception(60) for call in calls]
    assert sum(isinstance(error, Throttled) for error in errors) == 16
    assert sum(error is None for error in errors) == 4
    assert sum(seen.throttled for seen in scripted.seen) == 16
    assert scripted.ask(do="tell")


def test_environments_start_side_by_side(make: Make) -> None:
    """Each call waits until all are there."""
    scripted = make(idle_seconds=0.0)
    scripted.variant.sweep()
    assert scripted.variant.sizes() == (0, 0)
    calls = held(scripted, 4)
    scripted.release()
    assert all(call.result(60).cold for call in calls)


def test_an_idle_environment_is_dropped_and_the_next_call_is_cold(make: Make) -> None:
    scripted = make(idle_seconds=300.0)
    first = scripted.tell()["pid"]
    scripted.clock.ahead += 299
    scripted.variant.sweep()
    assert scripted.variant.sizes() == (1, 1)
    scripted.clock.ahead += 2
    scripted.variant.sweep()
    assert scripted.variant.sizes() == (0, 0)
    reply = scripted.ask(do="tell")
    assert reply.cold
    assert told(reply)["pid"] != first


def test_the_last_used_environment_is_used_so_that_others_become_idle(make: Make) -> None:
    scripted = make(idle_seconds=300.0)
    calls = held(scripted, 2)
    scripted.release()
    pids(calls)
    for _ in range(3):
        scripted.clock.ahead += 200
        scripted.tell()
        scripted.variant.sweep()
    assert scripted.variant.sizes() == (1, 1)


def test_provisioned_environments_are_kept_warm(make: Make) -> None:
    scripted = make(config=ServerlessConfig(1024, 4, provisioned_concurrency=2))
    assert scripted.variant.sizes() == (2, 2)
    scripted.clock.ahead += 10_000
    scripted.variant.sweep()
    calls = held(scripted, 2)
    scripted.release()
    assert not any(call.result(60).cold for call in calls)
    assert not any(seen.spilled for seen in scripted.seen)


def test_what_provisioned_environments_cannot_take_spills_over(make: Make) -> None:
    scripted = make(config=ServerlessConfig(1024, 4, provisioned_concurrency=1))
    calls = held(scripted, 3)
    scripted.release()
    pids(calls)
    assert sorted(seen.spilled for seen in scripted.seen) == [False, True, True]
    # The provisioned one comes first again, whichever was used last.
    scripted.tell()
    assert not scripted.seen[-1].spilled
    scripted.clock.ahead += 10_000
    scripted.variant.sweep()
    assert scripted.variant.sizes() == (1, 1)


def test_a_provisioned_environment_that_ends_is_replaced(make: Make) -> None:
    scripted = make(config=ServerlessConfig(1024, 4, provisioned_concurrency=1))
    first = scripted.tell()["pid"]
    with pytest.raises(ModelError):
        scripted.ask(do="exit")
    scripted.variant.sweep()
    eventually(lambda: scripted.variant.sizes() == (1, 1))
    reply = scripted.ask(do="tell")
    assert not reply.cold
    assert told(reply)["pid"] != first


def test_a_container_that_is_never_healthy_fails_with_the_platforms_words(make: Make) -> None:
    scripted = make(start=False, quotas=HASTY, environment={"PING": "503"})
    with pytest.raises(ModelNotReady) as caught:
        scripted.variant.start()
    assert str(caught.value) == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint. "
        "(the last ping was answered with 503: not today)"
    )
    assert "listening" in scripted.lines


def test_a_container_that_listens_to_nobody_is_given_up(make: Make) -> None:
    scripted = make(start=False, quotas=HASTY, environment={"PING": "never"})
    with pytest.raises(ModelNotReady, match="no ping was answered"):
        scripted.variant.start()


def test_a_container_that_ends_at_once_is_not_waited_for(make: Make) -> None:
    scripted = make(start=False, environment={"PING": "exit"})
    with pytest.raises(ModelNotReady, match="the container has ended"):
        scripted.variant.start()
    assert scripted.lines == ["no, I will not"]


def test_a_cold_start_that_fails_is_the_calls_error_and_frees_its_place(make: Make) -> None:
    scripted = make(
        config=ServerlessConfig(1024, 1),
        quotas=HASTY,
        environment={"PING": str(os.devnull)},
        start=False,
    )
    for _ in range(2):
        with pytest.raises(ModelNotReady):
            scripted.tell()
    assert scripted.variant.sizes() == (0, 0)
    assert [seen.throttled for seen in scripted.seen] == [False, False]


def test_a_command_that_is_not_there_is_one_line(make: Make) -> None:
    scripted = make(start=False)
    scripted.variant = ScriptedVariant(ProcessEngine(["/nowhere/serve"]), scripted.folder).variant
    with pytest.raises(ContainerEngineError, match="`/nowhere/serve` cannot be run: No such file"):
        scripted.variant.start()


def test_an_environment_that_hangs_is_dropped_when_its_call_times_out(make: Make) -> None:
    scripted = make(quotas=replace(HASTY, freezes=False))
    first = scripted.tell()["pid"]
    freeze(first)
    with pytest.raises(ModelError) as caught:
        scripted.ask(do="tell")
    assert caught.value.original_status == 0
    assert caught.value.text.startswith(
        'Received server error (0) from primary with message "Your invocation timed out while '
        "waiting for a response from container primary."
    )
    reply = scripted.ask(do="tell")
    assert reply.cold
    assert told(reply)["pid"] != first


def test_an_answer_that_does_not_end_is_a_time_out(make: Make) -> None:
    scripted = make(quotas=HASTY)
    with pytest.raises(ModelError, match="timed out"):
        scripted.ask(do="drip")
    assert scripted.ask(do="tell").cold


@pytest.mark.parametrize("fault", ["exit", "cut"])
def test_a_call_without_a_whole_answer_fails_and_the_next_is_answered(
    fault: str, make: Make
) -> None:
    scripted = make()
    with pytest.raises(ModelError) as caught:
        scripted.ask(do=fault)
    assert caught.value.original_status == 0
    assert caught.value.text == (
        'Received server error (0) from model with message "An error occurred while handling '
        'request as the model process exited.".'
    )
    assert scripted.ask(do="tell").cold


def test_an_environment_that_has_ended_while_idle_costs_no_call(make: Make) -> None:
    scripted = make()
    process = psutil.Process(scripted.tell()["pid"])
    process.kill()
    # With all its threads.
    eventually(lambda: process.status() == psutil.STATUS_ZOMBIE and process.num_threads() == 1)
    assert scripted.ask(do="tell").cold


def test_a_sweep_finds_an_environment_that_has_ended(make: Make) -> None:
    scripted = make()
    os.kill(scripted.tell()["pid"], signal.SIGKILL)

    def swept() -> bool:
        scripted.variant.sweep()
        return scripted.variant.sizes() == (0, 0)

    eventually(swept)
    assert scripted.ask(do="tell").cold


def test_environments_are_swept_without_being_asked(make: Make) -> None:
    scripted = make(idle_seconds=0.0, quotas=replace(NO_SWEEPS, sweep_seconds=0.01))
    eventually(lambda: scripted.variant.sizes() == (0, 0))


def test_another_concurrency_takes_place_without_a_cold_start(make: Make) -> None:
    scripted = make(environment={"VERSION": "1"})
    first = scripted.tell()["pid"]
    scripted.variant.resize(ServerlessConfig(1024, 2, provisioned_concurrency=1))
    calls = held(scripted, 2)
    with pytest.raises(Throttled):
        scripted.tell()
    scripted.release()
    assert first in pids(calls)
    scripted.variant.resize(ServerlessConfig(1024, 3))
    scripted.clock.ahead += 10_000
    scripted.variant.sweep()
    assert scripted.variant.sizes() == (0, 0)


def test_a_call_that_is_under_way_when_all_ends_gets_an_error(make: Make) -> None:
    scripted = make()
    (call,) = held(scripted, 1)
    scripted.variant.close()
    assert isinstance(call.exception(60), ServiceUnavailable)
    with pytest.raises(ServiceUnavailable):
        scripted.tell()


def test_what_is_under_way_is_answered_before_a_variant_is_drained(make: Make) -> None:
    scripted = make()
    calls = held(scripted, 2)
    drained = scripted.threads.submit(scripted.variant.drain)
    eventually(lambda: gone(scripted))
    assert not drained.done()
    scripted.release()
    assert all(told(call.result(60)) for call in calls)
    drained.result(60)
    assert scripted.variant.sizes() == (0, 0)
    assert gone(scripted)


def test_a_start_that_is_under_way_when_all_ends_leaves_nothing(make: Make) -> None:
    scripted = make(start=False, environment={"PING": "503"})
    call = scripted.threads.submit(scripted.tell)
    eventually(lambda: "listening" in scripted.lines)
    scripted.variant.close()
    assert isinstance(call.exception(60), InvocationError)


def test_ending_twice_does_no_harm(make: Make) -> None:
    scripted = make()
    scripted.variant.close()
    scripted.variant.close()
