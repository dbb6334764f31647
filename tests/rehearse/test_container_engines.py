"""Both engines run the real server; a scripted container tells what the sandbox is like."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from rehearse import owner
from rehearse.container_engines import ContainerEngine, RunningContainer
from rehearse.container_engines.docker_engine import DockerEngine
from rehearse.container_engines.process_engine import ProcessEngine
from rehearse.container_engines.running_container import LogLines
from rehearse.data_plane.quotas import Quotas
from rehearse.data_plane.variant import RunningVariant
from rehearse.data_types import ContainerDefinition, Invocation, InvocationMetrics, ServerlessConfig
from rehearse.errors import ContainerEngineError, ModelError, ModelNotReady
from tests.conftest import BLOG, BUNDLED, lines
from tests.contract.conftest import build
from tests.rehearse.scripted_image import scripted_image
from tests.rehearse.scripted_variant import SCRIPT
from tests.rehearse.waiting import eventually

JSON_LINES = {"Content-Type": "application/jsonlines"}


@pytest.fixture(scope="session")
def slim() -> str:
    """Build this project's image, and return its tag."""
    return build("slim")


@pytest.fixture(scope="session")
def foreign(slim: str) -> Iterator[str]:
    """Build an image whose `serve` is scripted_container.py, on top of this project's."""
    with scripted_image(slim, "serve", SCRIPT) as tag:
        yield tag


@pytest.fixture
def containers(slim: str) -> Iterator[DockerEngine]:
    """Give the Docker engine; the test must have ended every container itself."""
    assert slim
    engine = DockerEngine()
    yield engine
    left = leftovers(engine)
    engine.close()
    assert not left


def leftovers(engine: DockerEngine) -> list[Any]:
    client = docker.from_env()
    found = client.containers.list(all=True, filters={"label": [f"rehearse.run={engine.run}"]})
    client.close()
    return found


@pytest.fixture(params=["process", "docker"])
def real(request: pytest.FixtureRequest) -> Iterator[tuple[ContainerEngine, ContainerDefinition]]:
    """Give an engine, and this project's container with the bundled model."""
    if request.param == "docker":
        image = request.getfixturevalue("slim")
        yield request.getfixturevalue("containers"), ContainerDefinition(image, BUNDLED, {})
    else:
        engine = ProcessEngine()
        before = set(psutil.Process().children())
        yield engine, ContainerDefinition("any", BUNDLED, {})
        assert set(psutil.Process().children()) == before
        engine.close()


@contextlib.contextmanager
def started(
    engine: ContainerEngine, container: ContainerDefinition, memory_mb: int = 1024
) -> Iterator[RunningContainer]:
    environment = engine.start(container, memory_mb, lambda _: None)
    try:
        eventually(lambda: pings(environment))
        yield environment
    finally:
        environment.stop()


@contextlib.contextmanager
def serving(
    engine: ContainerEngine, container: ContainerDefinition, freezes: bool = True
) -> Iterator[RunningVariant]:
    variant = RunningVariant(
        engine,
        container,
        ServerlessConfig(1024, 1),
        log=lambda _: None,
        observe=lambda _: None,
        quotas=Quotas(freezes=freezes),
    )
    variant.start()
    try:
        yield variant
    finally:
        variant.close()


def pings(environment: RunningContainer, seconds: float = 2) -> bool:
    with contextlib.suppress(OSError):
        return environment.request("GET", "/ping", b"", {}, seconds)[0] == 200
    return False


def ask(environment: RunningContainer, **asked: Any) -> Any:
    status, _, body = environment.request("POST", "/", json.dumps(asked).encode(), {}, 60)
    assert status == 200
    return json.loads(body)


def test_the_real_server_answers_the_blogs_lines(
    real: tuple[ContainerEngine, ContainerDefinition],
) -> None:
    engine, container = real
    log: list[str] = []
    seen: list[InvocationMetrics] = []
    variant = RunningVariant(
        engine, container, ServerlessConfig(1024, 2), log=log.append, observe=seen.append
    )
    variant.start()
    try:
        reply = variant.invoke(
            Invocation(BLOG, "application/jsonlines", custom_attributes="scores=all")
        )
        assert [line["predicted_label"] for line in lines(reply.body)] == [1, 0, -1]
        assert reply.content_type == "application/jsonlines"
        assert (reply.custom_attributes or "").startswith("scores=all,cold=1,model-ms=")
        with pytest.raises(ModelError) as caught:
            variant.invoke(Invocation(b"no JSON", "application/jsonlines"))
        assert caught.value.original_status == 400
        assert json.loads(caught.value.original_message)["lines"][0]["line"] == 1
        eventually(lambda: sum('"event": "request"' in line for line in log) == 2)
        assert seen[0].memory_percent is not None
        assert 1 < seen[0].memory_percent < 50
    finally:
        variant.close()


def test_a_broken_model_is_told_in_one_line(
    real: tuple[ContainerEngine, ContainerDefinition], tmp_path: Path
) -> None:
    engine, container = real
    tmp_path.chmod(0o755)
    broken = ContainerDefinition(
        container.image, tmp_path, {"PING_READY": "strict", "MODEL_LOAD": "eager"}
    )
    variant = RunningVariant(
        engine, broken, ServerlessConfig(1024, 1), log=lambda _: None, observe=lambda _: None
    )
    with pytest.raises(ModelNotReady, match="the container has ended"):
        variant.start()


def test_a_process_gets_no_environment_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "nonsense that ends the server")
    with started(ProcessEngine(), ContainerDefinition("any", BUNDLED, {})) as environment:
        status, _, body = environment.request("POST", "/invocations", BLOG, JSON_LINES, 60)
    assert (status, len(lines(body))) == (200, 3)


def test_engines_say_what_they_cannot_impose(containers: DockerEngine) -> None:
    assert any("memory is not limited" in limit for limit in ProcessEngine().not_imposed)
    assert any("/tmp" in limit for limit in containers.not_imposed)
    assert not any("\n" in limit for limit in (*ProcessEngine.not_imposed, *containers.not_imposed))


def test_a_container_sees_the_sandbox_of_serverless(
    containers: DockerEngine, foreign: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    container = ContainerDefinition(foreign, tmp_path, {"GREETING": "hello"})
    with started(containers, container) as environment:
        found = ask(environment, do="reach")
        assert (found["uid"], found["gid"]) == (993, 990)
        assert found["/written"] == found["/opt/ml/model/written"] == "OSError"
        assert found["/dev/shm/written"] in ("OSError", "FileNotFoundError")
        assert found["/tmp/written"] == "written"
        assert {found[name] for name in ("CapEff", "CapBnd", "CapPrm")} == {"0" * 16}
        assert found["environment"]["GREETING"] == "hello"
        assert not found["rehearse"]
        assert not any(name.startswith("AWS_") for name in found["environment"])


def test_a_container_is_published_on_this_machine_alone_with_the_share_of_its_size(
    containers: DockerEngine, foreign: str
) -> None:
    with started(containers, ContainerDefinition(foreign, None, {}), 1024) as environment:
        (found,) = leftovers(containers)
        assert {each["HostIp"] for each in found.ports["8080/tcp"]} == {"127.0.0.1"}
        config = found.attrs["HostConfig"]
        assert config["Memory"] == config["MemorySwap"] == 1024 * 2**20
        assert config["NanoCpus"] / 1e9 == pytest.approx(min(1024 / 1769, os.cpu_count() or 1))
        assert "no-new-privileges" in config["SecurityOpt"]
        assert environment.alive()


def test_a_size_with_more_cpus_than_this_machine_runs(
    containers: DockerEngine, foreign: str
) -> None:
    with started(containers, ContainerDefinition(foreign, None, {}), 6144) as environment:
        assert environment.alive()


def test_want_of_memory_is_told_from_other_ends(containers: DockerEngine, foreign: str) -> None:
    for what, memory_mb, told in (("allocate", 1024, True), ("cut", 1024, False)):
        with started(containers, ContainerDefinition(foreign, None, {}), memory_mb) as environment:
            begun = time.time()
            with pytest.raises(ConnectionError):
                environment.request("POST", "/", json.dumps({"do": what}).encode(), {}, 60)
            assert environment.out_of_memory(begun) == told


def test_a_call_that_ends_for_want_of_memory_says_so(
    containers: DockerEngine, foreign: str
) -> None:
    with serving(containers, ContainerDefinition(foreign, None, {})) as variant:
        with pytest.raises(ModelError, match="insufficient memory"):
            variant.invoke(Invocation(b'{"do": "allocate"}'))
        assert variant.invoke(Invocation(b'{"do": "tell"}')).cold


def test_a_worker_that_is_ended_for_want_of_memory_is_told_though_the_container_lives(
    containers: DockerEngine, slim: str
) -> None:
    container = ContainerDefinition(slim, BUNDLED, {})
    # Nothing can be run in a container that is paused.
    with serving(containers, container, freezes=False) as variant:
        (found,) = leftovers(containers)
        # What lies in /tmp counts as memory. This leaves enough for gunicorn, not for its worker.
        found.exec_run(["sh", "-c", "head -c 980M /dev/zero >/tmp/filled"], detach=True)
        with pytest.raises(ModelError, match="insufficient memory"):
            deque(
                (variant.invoke(Invocation(BLOG, "application/jsonlines")) for _ in range(100_000)),
                0,
            )
        assert variant.invoke(Invocation(BLOG, "application/jsonlines")).cold


def test_a_container_that_ends_at_once_tells_why(containers: DockerEngine, foreign: str) -> None:
    log: list[str] = []
    spec = ServerlessConfig(1024, 1)
    container = ContainerDefinition(foreign, None, {"PING": "exit"})
    variant = RunningVariant(containers, container, spec, log=log.append, observe=lambda _: None)
    with pytest.raises(ModelNotReady, match="the container has ended"):
        variant.start()
    assert log == ["no, I will not"]


def test_lines_of_a_container_come_whole(containers: DockerEngine, foreign: str) -> None:
    log: list[str] = []
    environment = containers.start(
        ContainerDefinition(foreign, None, {"PING": "exit"}), 1024, log.append
    )
    eventually(lambda: not environment.alive())
    environment.stop()
    assert log == ["no, I will not"]


def test_an_image_that_is_missing_is_one_line(containers: DockerEngine) -> None:
    with pytest.raises(ContainerEngineError) as caught:
        containers.start(ContainerDefinition("no-such-image:1", None, {}), 1024, print)
    assert re.search("no image no-such-image:1 here; build it, or `docker pull`", str(caught.value))
    assert "\n" not in str(caught.value)


def test_an_image_without_serve_is_one_line(containers: DockerEngine, slim: str) -> None:
    client = docker.from_env()
    made = client.containers.create(slim, ["true"], entrypoint=[])
    made.commit("rehearse-test", "without-entrypoint", changes="ENTRYPOINT []\nENV PATH=/nowhere")
    made.remove()
    tag = "rehearse-test:without-entrypoint"
    try:
        with pytest.raises(ContainerEngineError) as caught:
            containers.start(ContainerDefinition(tag, None, {}), 1024, print)
    finally:
        client.images.remove(tag)
        client.close()
    assert 'exec: "serve": executable file not found in $PATH' in str(caught.value)
    assert "\n" not in str(caught.value)


def test_containers_of_a_rehearsal_that_was_killed_are_ended(
    containers: DockerEngine, foreign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    alive = containers.start(ContainerDefinition(foreign, None, {}), 1024, lambda _: None)
    mark = owner.owner().split(":")
    with monkeypatch.context() as patched:
        patched.setattr(owner, "owner", lambda: f"{mark[0]}:{ended.pid}:{mark[2]}")
        killed = containers.start(ContainerDefinition(foreign, None, {}), 1024, lambda _: None)
    eventually(lambda: pings(killed))
    killed.freeze()
    eventually(lambda: not pings(killed, 0.2))
    assert containers.end_leftovers() == 1
    assert alive.alive()
    alive.stop()


# docker-py leaves the socket that it could not connect to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_docker_engine_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(
        ContainerEngineError, match="no Docker engine answers; start it, or use --engine"
    ):
        DockerEngine()
    gc.collect()


def test_closing_an_engine_removes_what_was_left(slim: str) -> None:
    engine = DockerEngine()
    environment = engine.start(ContainerDefinition(slim, BUNDLED, {}), 1024, lambda _: None)
    assert len(leftovers(engine)) == 1
    engine.close()
    assert not leftovers(engine)
    environment.stop()


def test_closing_an_engine_ends_what_was_left() -> None:
    engine = ProcessEngine()
    environment = engine.start(ContainerDefinition("any", BUNDLED, {}), 1024, lambda _: None)
    engine.close()
    assert not environment.alive()


def test_an_image_removed_by_hand_ends_like_any_other(
    containers: DockerEngine, foreign: str
) -> None:
    with started(containers, ContainerDefinition(foreign, None, {})) as environment:
        (found,) = leftovers(containers)
        found.remove(force=True)
        eventually(lambda: not environment.alive())
        assert environment.memory_bytes() is None


def test_a_frozen_container_stands_still_until_it_is_thawed(
    real: tuple[ContainerEngine, ContainerDefinition],
) -> None:
    engine, container = real
    with started(engine, container) as environment:
        for _ in range(2):
            environment.freeze()
            eventually(lambda: not pings(environment, 0.2))
            assert environment.alive()
            assert environment.memory_bytes()
            environment.thaw()
            status, _, body = environment.request("POST", "/invocations", BLOG, JSON_LINES, 60)
            assert (status, len(lines(body))) == (200, 3)
        environment.freeze()
        eventually(lambda: not pings(environment, 0.2))
    assert not environment.alive()


def test_sigterm_reaches_a_frozen_container(
    real: tuple[ContainerEngine, ContainerDefinition],
) -> None:
    engine, container = real
    log: list[str] = []
    environment = engine.start(container, 1024, log.append)
    eventually(lambda: pings(environment))
    environment.freeze()
    eventually(lambda: not pings(environment, 0.2))
    environment.stop(30)
    assert any("Shutting down: Master" in line for line in log)


def test_a_container_that_is_to_be_frozen_and_thawed_at_once_runs(
    real: tuple[ContainerEngine, ContainerDefinition],
) -> None:
    engine, container = real
    with started(engine, container) as environment:
        for _ in range(20):
            environment.freeze()
            environment.thaw()
            assert pings(environment)


def test_a_graceful_stop_lets_a_request_end() -> None:
    """The real server answers what it has, as the platform gives an instance time to."""
    engine = ProcessEngine()
    environment = engine.start(ContainerDefinition("any", BUNDLED, {}), 1024, lambda _: None)
    eventually(lambda: pings(environment))
    family = psutil.Process(environment.process.pid).children()

    def worked() -> float:
        return sum(each.cpu_times().user for each in family)

    before, answers = worked(), []
    body = b"".join(b'{"features": ["number %d, a fine one"]}\n' % number for number in range(2000))
    asker = threading.Thread(
        target=lambda: answers.append(
            environment.request("POST", "/invocations", body, JSON_LINES, 60)[0]
        )
    )
    asker.start()
    eventually(lambda: worked() > before + 0.2)
    environment.stop(30)
    asker.join()
    assert not environment.alive()
    assert answers == [200]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_lines_are_the_same_however_they_are_cut(size: int) -> None:
    text = "erste Zeile\r\nzweite: ü€\n\nohne Ende".encode()
    found: list[str] = []
    streamed = LogLines(found.append)
    for start in range(0, len(text), size):
        streamed.feed(text[start : start + size])
    streamed.end()
    streamed.end()
    assert found == ["erste Zeile", "zweite: ü€", "", "ohne Ende"]


def test_a_line_without_an_end_is_cut() -> None:
    found: list[str] = []
    streamed = LogLines(found.append)
    streamed.feed(b"x" * 600_000)
    assert [len(line) for line in found] == [256 * 1024] * 2
