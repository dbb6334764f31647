"""Endpoints: deployed, changed while they serve, deleted; nothing is lost, nothing is left."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rehearse.data_plane.fleet import Fleet
from rehearse.data_plane.hosting import Hosting
from rehearse.engines.process_engine import ProcessEngine
from rehearse.model import Call, Container, Instance, Serverless, Variant
from tests.rehearse.rig import SMALL, eventually, told

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/e"


class House:
    """Hosting of scripted processes, and what they have written."""

    def __init__(self, engine: ProcessEngine, folder: Path) -> None:
        self.lines: list[str] = []
        self.gate = folder / "gate"
        self._engine = engine
        self.hosting = Hosting(self._fleet)
        self._threads = ThreadPoolExecutor(16)

    def _fleet(self, _: str, variant: Variant) -> Fleet:
        return Fleet(
            self._engine,
            variant.container,
            variant.spec,
            log=self.lines.append,
            observe=lambda _: None,
            variant=variant.name,
        )

    def deploy(self, *variants: Variant) -> Future[str | None]:
        """What failed, if anything, when it is over."""
        over: Future[str | None] = Future()
        self.hosting.deploy(ARN, lambda: list(variants), over.set_result)
        return over

    def delete(self) -> Future[str | None]:
        over: Future[str | None] = Future()
        self.hosting.delete(ARN, over.set_result)
        return over

    def ask(self, **asked: Any) -> dict[str, Any]:
        answered = self.hosting.invoke(ARN, None, Call(json.dumps(asked).encode()))
        assert answered, "no such endpoint"
        return told(answered[1])

    def start(self, **asked: Any) -> Future[dict[str, Any]]:
        return self._threads.submit(self.ask, **asked)

    def close(self) -> None:
        self.gate.touch()
        self._threads.shutdown()
        self.hosting.lifetime.close()


@pytest.fixture
def house(scripted: ProcessEngine, tmp_path: Path) -> Iterator[House]:
    made = House(scripted, tmp_path)
    yield made
    made.close()


def variant(
    version: str = "1",
    spec: Serverless | Instance = SMALL,
    name: str = "AllTraffic",
    model: Path | None = None,
    **environment: str,
) -> Variant:
    return Variant(name, Container("any", model, {"VERSION": version, **environment}), spec)


def test_an_update_loses_no_call(house: House) -> None:
    assert house.deploy(variant("1", Serverless(1024, 8))).result(60) is None
    over = threading.Event()
    versions: list[list[str]] = [[] for _ in range(4)]

    def all_told(version: str) -> bool:
        return all(found[-1:] == [version] for found in versions)

    def keep_asking(found: list[str]) -> None:
        while not over.is_set():
            found.append(house.ask(do="tell")["version"])

    with ThreadPoolExecutor(4) as threads:
        askers = [threads.submit(keep_asking, found) for found in versions]
        eventually(partial(all_told, "1"))
        for version, spec in (("2", SMALL), ("3", Instance("ml.m5.large"))):
            name = "RealTime" if isinstance(spec, Instance) else "AllTraffic"
            assert house.deploy(variant(version, spec, name)).result(60) is None
            eventually(partial(all_told, version))
        over.set()
        for asker in askers:
            asker.result(60)
    assert all(found == sorted(found) for found in versions)


def test_a_call_that_is_under_way_when_an_update_comes_is_answered(house: House) -> None:
    house.deploy(variant("1")).result(60)
    call = house.start(do="hold", until=str(house.gate))
    eventually(lambda: "holding" in house.lines)
    update = house.deploy(variant("2"))
    eventually(lambda: house.ask(do="tell")["version"] == "2")
    assert not update.done()
    house.gate.touch()
    assert call.result(60)["version"] == "1"
    assert update.result(60) is None


def test_an_update_starts_containers_anew_though_nothing_is_different(house: House) -> None:
    """The image may have been built again."""
    house.deploy(variant()).result(60)
    first = house.ask(do="tell")["pid"]
    house.deploy(variant()).result(60)
    assert house.ask(do="tell")["pid"] != first


def test_an_update_that_fails_changes_no_variant(house: House) -> None:
    both = [variant("1", Instance("ml.m5.large"), name) for name in "AB"]
    house.deploy(*both).result(60)
    broken = variant("2", Instance("ml.m5.large"), "B", PING="exit")
    failure = house.deploy(variant("2", Instance("ml.m5.large"), "A"), broken).result(60)
    assert "did not pass the ping health check" in str(failure)
    assert {house.ask(do="tell")["version"] for _ in range(20)} == {"1"}


def test_what_is_deleted_while_it_starts_leaves_nothing(house: House, tmp_path: Path) -> None:
    ping = tmp_path / "ping"
    ping.write_text("503")
    deployed = house.deploy(variant(PING=str(ping)))
    eventually(lambda: "listening" in house.lines)
    deleted = house.delete()
    ping.write_text("200")
    assert deployed.result(60) == "The endpoint has been deleted meanwhile."
    assert deleted.result(60) is None
    assert house.hosting.variants(ARN) == {}


def test_two_updates_at_once_leave_one_fleet(house: House) -> None:
    house.deploy(variant("1")).result(60)
    for update in [house.deploy(variant(version)) for version in ("2", "3")]:
        assert update.result(60) is None
    assert house.ask(do="tell")["version"] in ("2", "3")
    assert house.delete().result(60) is None


def test_models_are_removed_with_what_ran_them(house: House, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "broken")]
    for each in folders:
        each.mkdir()
    house.deploy(variant(model=folders[0])).result(60)
    house.deploy(variant(model=folders[1])).result(60)
    house.deploy(variant(model=folders[2], PING="exit")).result(60)
    assert [each.exists() for each in folders] == [False, True, False]
    house.delete().result(60)
    assert not folders[1].exists()
