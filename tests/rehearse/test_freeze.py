"""Test that serverless environments stand still between calls, and only then."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

from rehearse.container_engines.running_container import HttpClient
from rehearse.data_types import InstanceConfig, ServerlessConfig
from tests.rehearse.conftest import Make
from tests.rehearse.rehearsal import Rehearsal, rehearsing
from tests.rehearse.scripted_variant import NO_SWEEPS
from tests.rehearse.waiting import eventually


def stands_still(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def test_an_environment_runs_during_calls_only(make: Make) -> None:
    scripted = make()
    pid = scripted.tell()["pid"]
    eventually(lambda: stands_still(pid))
    (call,) = scripted.hold()
    eventually(lambda: "holding" in scripted.lines)
    assert not stands_still(pid)
    scripted.release()
    assert not call.result(60).cold
    eventually(lambda: stands_still(pid))


def test_a_provisioned_environment_stands_still_from_its_start(make: Make) -> None:
    before = set(psutil.Process().children())
    make(config=ServerlessConfig(1024, 2, 1))
    (started,) = set(psutil.Process().children()) - before
    eventually(lambda: stands_still(started.pid))


def test_calls_that_follow_each_other_are_answered_by_one_environment(make: Make) -> None:
    scripted = make(config=ServerlessConfig(1024, 1))
    assert len({scripted.tell()["pid"] for _ in range(200)}) == 1


@pytest.mark.parametrize("instance", [False, True])
def test_instances_run_on_and_so_does_all_without_freezing(make: Make, instance: bool) -> None:
    quotas = replace(NO_SWEEPS, freezes=instance)
    scripted = make(
        config=InstanceConfig("ml.m5.large") if instance else ServerlessConfig(1024, 1),
        quotas=quotas,
    )
    told = scripted.tell()
    port = int(told["headers"]["Host"].split(":")[1])
    for _ in range(20):
        assert HttpClient(port).request("GET", "/ping", b"", {}, 10)[0] == 200


def test_a_rehearsal_says_whether_it_freezes(rehearsal: Rehearsal) -> None:
    """The server of an endpoint and its worker stand still, or answer whoever asks them."""
    rehearsal.invoke(rehearsal.endpoint(rehearsal.config(rehearsal.model())))
    assert rehearsal.ready["freeze"] is True
    assert "--no-freeze" not in str(rehearsal.ready["limits"])
    (*_, newest) = servers(rehearsal)
    eventually(lambda: all(stands_still(each.pid) for each in newest))
    with rehearsing("--no-freeze") as running:
        running.invoke(running.endpoint(running.config(running.model())))
        assert running.ready["freeze"] is False
        assert "--no-freeze" in str(running.ready["limits"])
        (family,) = servers(running)
        assert not any(stands_still(each.pid) for each in family)


def servers(rehearsal: Rehearsal) -> list[list[psutil.Process]]:
    """Return the processes of each environment, the oldest first."""
    first = sorted(psutil.Process(rehearsal.process.pid).children(), key=psutil.Process.create_time)
    return [[each, *each.children(recursive=True)] for each in first]


def test_an_environment_that_dies_while_it_stands_still_is_replaced(make: Make) -> None:
    scripted = make()
    pid = scripted.tell()["pid"]
    eventually(lambda: stands_still(pid))
    environment = psutil.Process(pid)
    environment.kill()
    environment.wait(10)
    assert scripted.ask(do="tell").cold
