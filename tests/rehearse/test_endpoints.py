"""Endpoints are deployed, changed while they serve, and deleted; no call is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rehearse.container_engines.process_engine import ProcessEngine
from rehearse.data_plane.endpoints import Endpoints
from rehearse.data_plane.variant import RunningVariant
from rehearse.data_types import (
    ContainerDefinition,
    InstanceConfig,
    Invocation,
    ProductionVariant,
    ServerlessConfig,
)
from tests.rehearse.scripted_variant import SMALL, told
from tests.rehearse.waiting import eventually

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/e"


class ScriptedEndpoints:
    """Endpoints of scripted containers, and what these have written."""

    def __init__(self, engine: ProcessEngine, folder: Path) -> None:
        self.lines: list[str] = []
        self.gate = folder / "gate"
        self._engine = engine
        self.endpoints = Endpoints(self._variant)
        self._threads = ThreadPoolExecutor(16)

    def _variant(self, _: str, variant: ProductionVariant) -> RunningVariant:
        return RunningVariant(
            self._engine,
            variant.container,
            variant.config,
            log=self.lines.append,
            observe=lambda _: None,
            name=variant.name,
        )

    def deploy(self, *variants: ProductionVariant) -> Future[str | None]:
        """Deploy variants, and return what failed, if anything, when it is over."""
        over: Future[str | None] = Future()
        self.endpoints.deploy(ARN, lambda: list(variants), over.set_result)
        return over

    def delete(self) -> Future[str | None]:
        over: Future[str | None] = Future()
        self.endpoints.delete(ARN, over.set_result)
        return over

    def ask(self, **asked: Any) -> dict[str, Any]:
        answered = self.endpoints.invoke(ARN, None, Invocation(json.dumps(asked).encode()))
        assert answered, "no such endpoint"
        return told(answered[1])

    def start(self, **asked: Any) -> Future[dict[str, Any]]:
        return self._threads.submit(self.ask, **asked)

    def close(self) -> None:
        self.gate.touch()
        self._threads.shutdown()
        self.endpoints.cleanup.close()


@pytest.fixture
def scripted(engine: ProcessEngine, tmp_path: Path) -> Iterator[ScriptedEndpoints]:
    made = ScriptedEndpoints(engine, tmp_path)
    yield made
    made.close()


def variant(
    version: str = "1",
    config: ServerlessConfig | InstanceConfig = SMALL,
    name: str = "AllTraffic",
    model: Path | None = None,
    **environment: str,
) -> ProductionVariant:
    return ProductionVariant(
        name, ContainerDefinition("any", model, {"VERSION": version, **environment}), config
    )


def test_an_update_loses_no_call(scripted: ScriptedEndpoints) -> None:
    assert scripted.deploy(variant("1", ServerlessConfig(1024, 8))).result(60) is None
    over = threading.Event()
    versions: list[list[str]] = [[] for _ in range(4)]

    def all_told(version: str) -> bool:
        return all(found[-1:] == [version] for found in versions)

    def keep_asking(found: list[str]) -> None:
        while not over.is_set():
            found.append(scripted.ask(do="tell")["version"])

    with ThreadPoolExecutor(4) as threads:
        askers = [threads.submit(keep_asking, found) for found in versions]
        eventually(partial(all_told, "1"))
        for version, spec in (("2", SMALL), ("3", InstanceConfig("ml.m5.large"))):
            name = "RealTime" if isinstance(spec, InstanceConfig) else "AllTraffic"
            assert scripted.deploy(variant(version, spec, name)).result(60) is None
            eventually(partial(all_told, version))
        over.set()
        for asker in askers:
            asker.result(60)
    assert all(found == sorted(found) for found in versions)


def test_a_call_that_is_under_way_when_an_update_comes_is_answered(
    scripted: ScriptedEndpoints,
) -> None:
    scripted.deploy(variant("1")).result(60)
    call = scripted.start(do="hold", until=str(scripted.gate))
    eventually(lambda: "holding" in scripted.lines)
    update = scripted.deploy(variant("2"))
    eventually(lambda: scripted.ask(do="tell")["version"] == "2")
    assert not update.done()
    scripted.gate.touch()
    assert call.result(60)["version"] == "1"
    assert update.result(60) is None


def test_an_update_starts_containers_anew_though_nothing_is_different(
    scripted: ScriptedEndpoints,
) -> None:
    """The image may have been built again."""
    scripted.deploy(variant()).result(60)
    first = scripted.ask(do="tell")["pid"]
    scripted.deploy(variant()).result(60)
    assert scripted.ask(do="tell")["pid"] != first


def test_an_update_that_fails_changes_no_variant(scripted: ScriptedEndpoints) -> None:
    both = [variant("1", InstanceConfig("ml.m5.large"), name) for name in "AB"]
    scripted.deploy(*both).result(60)
    broken = variant("2", InstanceConfig("ml.m5.large"), "B", PING="exit")
    failure = scripted.deploy(variant("2", InstanceConfig("ml.m5.large"), "A"), broken).result(60)
    assert "did not pass the ping health check" in str(failure)
    assert {scripted.ask(do="tell")["version"] for _ in range(20)} == {"1"}


def test_what_is_deleted_while_it_starts_leaves_nothing(
    scripted: ScriptedEndpoints, tmp_path: Path
) -> None:
    ping = tmp_path / "ping"
    ping.write_text("503")
    deployed = scripted.deploy(variant(PING=str(ping)))
    eventually(lambda: "listening" in scripted.lines)
    deleted = scripted.delete()
    ping.write_text("200")
    assert deployed.result(60) == "The endpoint has been deleted meanwhile."
    assert deleted.result(60) is None
    assert scripted.endpoints.variants(ARN) == {}


def test_two_updates_at_once_leave_one_variant(scripted: ScriptedEndpoints) -> None:
    scripted.deploy(variant("1")).result(60)
    for update in [scripted.deploy(variant(version)) for version in ("2", "3")]:
        assert update.result(60) is None
    assert scripted.ask(do="tell")["version"] in ("2", "3")
    assert scripted.delete().result(60) is None


def test_models_are_removed_with_what_ran_them(scripted: ScriptedEndpoints, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "broken")]
    for each in folders:
        each.mkdir()
    scripted.deploy(variant(model=folders[0])).result(60)
    scripted.deploy(variant(model=folders[1])).result(60)
    scripted.deploy(variant(model=folders[2], PING="exit")).result(60)
    assert [each.exists() for each in folders] == [False, True, False]
    scripted.delete().result(60)
    assert not folders[1].exists()
