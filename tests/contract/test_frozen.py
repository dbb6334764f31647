"""Test that a server that stands still between requests answers as one that runs on.

The platform may freeze a container as soon as it has answered, for minutes or hours. Time goes on
meanwhile, and what was due then is due at once when the container runs again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import BLOG, BUNDLED, lines
from tests.contract import raw, targets
from tests.contract.test_stop import children, until

MODEL = {"MODEL_DIR": str(BUNDLED)}
# gunicorn waits 75 seconds for a worker that is silent, and for another request.
HASTY = f"""
from serve import server
options = server.Server.options
server.Server.options = lambda self: options(self) | {{"timeout": 2, "keepalive": 2}}
{targets.SERVE}
"""
LONGER_SECONDS = 2.5
QUICK_MINUTES = f"""
from serve import telemetry
telemetry.WINDOW_SECONDS = 0.2
{targets.SERVE}
"""


@contextmanager
def frozen(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let no process of a server run meanwhile."""
    targets.freeze(process)
    try:
        yield
    finally:
        targets.thaw(process)


@pytest.fixture(scope="module")
def hasty(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[targets.OverHttp, subprocess.Popen[bytes], Path]]:
    """Run a server whose timeouts are short, and give what it logs, too."""
    path = tmp_path_factory.mktemp("frozen") / "log"
    with (
        path.open("wb") as log,
        targets.gunicorn(MODEL, log, program=HASTY) as (server, process),
    ):
        server.wait(process)
        yield server, process, path


Hasty = tuple[targets.OverHttp, subprocess.Popen[bytes], Path]


def test_a_worker_is_not_killed_for_having_stood_still(hasty: Hasty) -> None:
    server, process, log = hasty
    before = children(process.pid)
    for _ in range(3):
        with frozen(process):
            time.sleep(LONGER_SECONDS)
        assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3
    assert children(process.pid) == before
    assert "WORKER TIMEOUT" not in log.read_text()


def test_a_worker_that_alone_stands_still_is_replaced(hasty: Hasty) -> None:
    server, process, _ = hasty
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGSTOP)
    until(lambda: children(process.pid) not in ([], [worker]))
    assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3


def test_a_connection_that_was_kept_is_still_there(hasty: Hasty) -> None:
    server, process, _ = hasty
    with raw.connect(server.port) as [connection]:
        connection.send(raw.request(BLOG))
        assert connection.answer() is not None
        with frozen(process):
            time.sleep(LONGER_SECONDS)
        # Within a second the server has looked for connections whose time is over.
        time.sleep(1)
        connection.send(raw.request(BLOG))
        assert connection.status() == 200


def test_a_request_that_came_while_it_stood_still_is_answered(hasty: Hasty) -> None:
    server, process, _ = hasty
    with raw.connect(server.port, 2) as (kept, new):
        kept.send(raw.request(BLOG))
        assert kept.answer() is not None
        with frozen(process):
            time.sleep(LONGER_SECONDS)
            for each in (kept, new):
                each.send(raw.request(BLOG))
        assert [each.status() for each in (kept, new)] == [200, 200]


def test_what_a_load_leaves_for_later_is_done_in_the_time_of_requests(
    tmp_path: Path, packed: Path
) -> None:
    """Damage that only a hash shows is found, though the server never runs without a request."""
    directory = shutil.copytree(packed, tmp_path / "model")
    manifest = json.loads((directory / "manifest.json").read_text())
    (name,) = (name for name in manifest["files"] if name.endswith(".bin"))
    manifest["files"][name]["sha256"] = "0" * 64
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with (
        (tmp_path / "log").open("wb") as log,
        targets.gunicorn({"MODEL_DIR": str(directory)}, log) as (server, process),
    ):
        server.wait(process)

        def ask() -> int:
            status = server.request("POST", "/invocations", BLOG).status
            with frozen(process):
                time.sleep(0.05)
            return status

        found = [ask() for _ in range(40)]
    assert found[:2] == [200, 200]
    assert found[-1] == 503
    assert "is damaged: its sha256" in (tmp_path / "log").read_text()


def test_by_an_answer_all_that_was_counted_in_an_earlier_minute_is_told(tmp_path: Path) -> None:
    """A server that stands still from then on, and is dropped, would never tell it."""
    with (
        (tmp_path / "log").open("wb") as log,
        (tmp_path / "out").open("wb") as out,
        targets.gunicorn(MODEL, log, out, QUICK_MINUTES) as (server, process),
    ):
        server.wait(process)
        for count in range(3):
            for _ in range(2):
                server.request("POST", "/invocations", BLOG)
            with frozen(process):
                time.sleep(LONGER_SECONDS)
            server.request("POST", "/invocations", BLOG)
            told = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
            assert sum(line.get("Predictions", 0) for line in told) == 9 * (count + 1)
