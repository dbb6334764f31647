"""The command `rehearse`, as users start and end it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from tests.conftest import BUNDLED
from tests.rehearse.rehearsal import Rehearsal, archive, rehearsing

REHEARSE = [sys.executable, "-m", "rehearse"]


def run(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    found = subprocess.run(
        [*REHEARSE, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )
    return found.returncode, found.stdout, found.stderr


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, out, err = run("up", "--engine", "process", "--port", port)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"rehearse: port {port} is taken; stop what listens there or choose another with --port"
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no",),
        ("up", "--engine", "no"),
        ("up", "--port", "70000"),
        ("up", "--idle-seconds", "x"),
    ],
)
def test_wrong_arguments_are_explained(arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.strip().splitlines()[-1].startswith("rehearse")


def test_the_version_is_told() -> None:
    code, out, _ = run("--version")
    assert (code, out.strip()) == (0, f"rehearse {version('sagemaker-serverless-sentiment')}")


HIDE = """
import sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "{missing}":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
from rehearse.__main__ import main
sys.exit(main({arguments}))
"""


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("boto3", ["up", "--port", "0", "--engine", "process"]),
        ("moto", ["up", "--port", "0", "--engine", "process"]),
        ("docker", ["up", "--port", "0"]),
        ("urllib3", ["bill"]),
    ],
)
def test_without_its_extra_it_says_what_to_install(missing: str, arguments: list[str]) -> None:
    code = HIDE.format(missing=missing, arguments=arguments)
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.splitlines() == [
        f"rehearse: {missing} is not installed; pip install "
        "'sagemaker-serverless-sentiment[rehearse]' (in a clone of this project: '.[rehearse]')"
    ]


def test_no_engine_is_one_line() -> None:
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    code, out, err = run("up", "--port", "0", environment=nowhere)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "--engine process" in err


def test_a_region_that_is_not_there_is_one_line() -> None:
    for region in ("xx-nowhere-1", "us east 1", ""):
        code, out, err = run("up", "--engine", "process", "--port", "0", "--region", region)
        assert (code, out) == (2, "")
        assert err.splitlines() == [
            f"rehearse: there is no region {region!r} with SageMaker; try --region us-east-1"
        ]


def test_a_bill_of_somebody_else_is_one_line() -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"services": {}}')

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever).start()
        for command, *more in (("bill",), ("bill", "--json"), ("run", "--", "true")):
            port = ("--port", str(server.server_port))
            code, out, err = run(command, *port, *more)
            assert (code, out) == (2, "")
            assert "no rehearsal answers" in err
        server.shutdown()


def test_the_profile_and_the_proxy_of_the_user_are_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with rehearsing() as rehearsal:
        with monkeypatch.context() as ours:
            for name in ("http_proxy", "HTTP_PROXY", "AWS_PROFILE"):
                ours.delenv(name)
            url = rehearsal.put("model.tar.gz", archive(BUNDLED))
            rehearsal.endpoint(rehearsal.config(rehearsal.model(ModelDataUrl=url)))
        code, out, _ = run("bill", "--port", rehearsal.url.rsplit(":", 1)[1])
        assert (code, "endpoint-" in out) == (0, True)


def test_a_bill_without_a_rehearsal_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    code, out, err = run("bill", "--port", port)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"rehearse: no rehearsal answers on port {port}; start `rehearse up`"
    ]


def test_a_shell_takes_the_exports_and_the_bill_comes_at_the_end() -> None:
    process = subprocess.Popen(
        [*REHEARSE, "up", "--engine", "process", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        ready, *exports = [process.stdout.readline().strip() for _ in range(9)]
        url = re.findall(r"^rehearse: ready at (http://127\.0\.0\.1:\d+);", ready)[0]
        environment = dict(each.removeprefix("export ").split("=") for each in exports)
        assert list(environment) == [
            "AWS_ENDPOINT_URL",
            "AWS_DEFAULT_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
            "HTTPS_PROXY",
            "NO_PROXY",
        ]
        rehearsal = Rehearsal(process, {"url": url, "environment": environment})
        endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model()))
        rehearsal.invoke(endpoint)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
        assert process.returncode == 0
        assert re.search(rf"^{endpoint} +AllTraffic +1 ", rest, re.M)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left(
    end: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with rehearsing() as rehearsal:
        endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model()))
        rehearsal.invoke(endpoint)
        assert any(path.name.startswith("rehearse-") for path in tmp_path.iterdir())
        children = psutil.Process(rehearsal.process.pid).children(recursive=True)
        assert children
        rehearsal.process.send_signal(end)
        assert rehearsal.process.wait(60) == 0
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("rehearse-")]


def test_the_next_one_ends_what_a_killed_one_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with rehearsing() as other, rehearsing() as killed:
        for each in (other, killed):
            data = each.put("model.tar.gz", archive(BUNDLED))
            each.endpoint(each.config(each.model(ModelDataUrl=data)))
        children = psutil.Process(killed.process.pid).children(recursive=True)
        killed.process.kill()
        killed.process.wait()
        left = set(tmp_path.glob("rehearse-*"))
        # The one that runs is let alone.
        with rehearsing(stderr=subprocess.PIPE) as following:
            assert following.process.stderr
            said = following.process.stderr.readline()
            assert re.search(r"had left: 2 containers or processes, 1 folders$", said)
            assert psutil.wait_procs(children, timeout=10)[1] == []
            # A folder and the mark of a process, of the other and of the killed one.
            assert (len(left), len(left & set(tmp_path.glob("rehearse-*")))) == (4, 2)
            assert other.invoke("endpoint-3")["Body"].read()


def test_the_bill_counts_every_call() -> None:
    with rehearsing() as rehearsal:
        endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model()))
        for _ in range(3):
            rehearsal.invoke(endpoint)
        port = rehearsal.url.rsplit(":", 1)[1]
        code, out, _ = run("bill", "--port", port, "--json")
        assert code == 0
        found = json.loads(out)
        assert found["accounts"][0]["invocations"] == 3
        assert [each["memory_mb"] for each in found["calls"]] == [1024] * 3
        assert sum(each["billed_ms"] for each in found["calls"]) >= 3
        assert found["usd"] > 0
        assert found["prices"]["region"] == "us-east-1"
        code, out, _ = run("bill", "--port", port)
        assert (code, endpoint in out) == (0, True)


def test_a_deployment_under_way_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with rehearsing() as rehearsal:
        config = rehearsal.config(rehearsal.model())
        rehearsal.client("sagemaker").create_endpoint(EndpointName="e", EndpointConfigName=config)
        rehearsal.process.send_signal(signal.SIGTERM)
        assert rehearsal.process.wait(60) == 0
    assert not list(tmp_path.iterdir())
