"""Give tests the three targets of the contract; the image only where a Docker engine runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import BLOG, BUNDLED, ROOT, lines
from tests.contract import targets

# Stands in texts that a server must not repeat.
SECRET = "pomegranate"


def engine_runs() -> bool:
    """Return whether a Docker engine answers."""
    if shutil.which(targets.DOCKER) is None:
        return False
    return (
        subprocess.run([targets.DOCKER, "info"], capture_output=True, check=False).returncode == 0
    )


def build(kind: str) -> str:
    """Build a target of the Dockerfile and return its tag."""
    if not engine_runs():
        if os.environ.get("CI") == "true":
            pytest.fail("no Docker engine, and in CI the image must be tested")
        pytest.skip("no Docker engine: the image is not tested")
    tag = f"contract-test:{kind}"
    subprocess.run(
        [str(ROOT / "build.sh"), "build", "--target", kind, "--tag", tag], cwd=ROOT, check=True
    )
    return tag


@pytest.fixture(scope="session")
def slim() -> str:
    """Build the image for packed models, and return its tag."""
    return build("slim")


@pytest.fixture(scope="session")
def full() -> str:
    """Build the image with torch and transformers, and return its tag."""
    return build("full")


@pytest.fixture(scope="session")
def train() -> str:
    """Build the image for training jobs, and return its tag."""
    return build("train")


@pytest.fixture(scope="session")
def _logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[targets.OverHttp, Path]]:
    """Start a server, and yield it with the file of all that it logs."""
    path = tmp_path_factory.mktemp("hostile") / "log"
    with (
        path.open("wb") as log,
        targets.gunicorn({"MODEL_DIR": str(BUNDLED)}, log) as (server, process),
    ):
        server.wait(process)
        yield server, path


@pytest.fixture
def victim(_logged: tuple[targets.OverHttp, Path]) -> Iterator[targets.OverHttp]:
    """Yield a server that must be as healthy after a test as before, and have logged no text."""
    server, path = _logged
    start = path.stat().st_size
    yield server
    assert server.request("GET", "/ping").status == 200
    assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3
    log = path.read_text()
    assert log.count("Booting worker") == 1, "the worker has died"
    assert SECRET not in log
    for words in ("Traceback", "internal error", '"status": 500', "CRITICAL"):
        assert words not in log[start:]


@pytest.fixture(
    scope="session",
    params=["in process", "gunicorn", "image", "frozen gunicorn", "frozen image"],
)
def target(request: pytest.FixtureRequest) -> Iterator[targets.Target]:
    """Serve the bundled model by each of the three, also frozen between requests."""
    frozen = request.param.startswith("frozen")
    if request.param == "in process":
        yield targets.InProcess({"MODEL_DIR": str(BUNDLED)})
    elif request.param.endswith("gunicorn"):
        with targets.gunicorn({"MODEL_DIR": str(BUNDLED)}) as (server, process):
            server.wait(process)
            freeze, thaw = partial(targets.freeze, process), partial(targets.thaw, process)
            yield targets.Frozen(server, freeze, thaw) if frozen else server
            thaw()
    else:
        tag = request.getfixturevalue("slim")
        with targets.image(tag, {}, BUNDLED) as (server, container):
            server.wait()
            pause = partial(_docker, "pause", container)
            unpause = partial(_docker, "unpause", container)
            if frozen:
                pause()
            yield targets.Frozen(server, pause, unpause) if frozen else server


def _docker(*arguments: str) -> None:
    subprocess.run([targets.DOCKER, *arguments], capture_output=True, check=True)
