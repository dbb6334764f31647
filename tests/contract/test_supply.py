"""Test the list of packages that build.sh writes, and its check against a database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.contract import targets

INSTALLED = (
    "import importlib.metadata as m; print(*[d.name + '==' + d.version for d in m.distributions()])"
)
ADVISORY = {
    "id": "TEST-1",
    "aliases": [],
    "summary": "made up",
    "affected": [{"package": {"name": "flask", "ecosystem": "PyPI"}, "versions": [], "ranges": []}],
}


def build_sh(command: str, kind: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of build.sh on the image that the contract is tested with."""
    arguments = [
        str(ROOT / "build.sh"),
        command,
        "--target",
        kind,
        "--tag",
        f"contract-test:{kind}",
    ]
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        arguments,
        env={**os.environ, "PATH": tools, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", params=["slim", "full"])
def listed(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Return a kind of image, and its SBOM."""
    request.getfixturevalue(request.param)  # builds it
    answer = build_sh("sbom", request.param)
    assert answer.returncode == 0, answer.stderr
    return request.param, json.loads((ROOT / f"sbom-{request.param}.cdx.json").read_text())


def normal(name: str) -> str:
    """Normalise a name.

    https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return name.lower().replace("_", "-").replace(".", "-")


def python_packages(sbom: dict[str, Any]) -> dict[str, str]:
    """Versions by name."""
    found = [c for c in sbom["components"] if not c.get("purl", "").startswith("pkg:deb/")]
    return {normal(component["name"]): component["version"] for component in found}


def test_the_sbom_keeps_the_schema_that_it_names(listed: tuple[str, dict[str, Any]]) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    sbom = listed[1]
    schema = SchemaVersion.from_version(sbom["specVersion"])
    assert JsonStrictValidator(schema).validate_str(json.dumps(sbom)) is None
    references = [component["bom-ref"] for component in sbom["components"]]
    assert len(set(references)) == len(references)


def test_the_sbom_lists_what_is_installed_and_nothing_else(
    listed: tuple[str, dict[str, Any]],
) -> None:
    kind, sbom = listed
    command = [targets.DOCKER, "run", "--rm", "--entrypoint", "python3", f"contract-test:{kind}"]
    found = subprocess.run([*command, "-c", INSTALLED], capture_output=True, text=True, check=True)
    installed = dict(package.split("==") for package in found.stdout.split())
    assert python_packages(sbom) == {normal(name): installed[name] for name in installed}
    assert not {"pip", "cyclonedx-bom"} & set(python_packages(sbom))
    purls = [component.get("purl", "") for component in sbom["components"]]
    assert any(purl.startswith("pkg:deb/debian/python3.11-minimal@") for purl in purls)
    assert sbom["metadata"]["component"]["name"].endswith(kind)


def test_every_package_in_the_image_is_pinned(listed: tuple[str, dict[str, Any]]) -> None:
    text = (ROOT / "requirements" / "constraints.txt").read_text()
    pins = dict(line.split("==") for line in text.splitlines() if not line.startswith("#"))
    pinned = {normal(name): pins[name] for name in pins}
    ours = "sagemaker-serverless-sentiment"
    expected = {**pinned, ours: version(ours)}
    for name, found in python_packages(listed[1]).items():
        assert found.partition("+")[0] == expected.get(name), name


class Advisories(BaseHTTPRequestHandler):
    """Answers as https://google.github.io/osv.dev/post-v1-query/ does: flask has one advisory."""

    vulnerable = False

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = self.vulnerable and asked["package"]["name"] == "flask"
        answer = json.dumps({"vulns": [ADVISORY]} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def database(vulnerable: bool) -> Iterator[dict[str, str]]:
    """Serve a vulnerability database; yield the variables that lead pip-audit to it."""
    handler = type("Handler", (Advisories,), {"vulnerable": vulnerable})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield asked_at(server.server_port)
        server.shutdown()


def asked_at(port: int) -> dict[str, str]:
    """pip-audit's variables for an OSV database on a port of this machine."""
    url = f"http://127.0.0.1:{port}/v1/query"
    own = {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": url}
    return own | {"NO_PROXY": "127.0.0.1"}


def test_an_audit_tells_vulnerable_from_sound(slim: str) -> None:
    with database(vulnerable=False) as sound:
        answer = build_sh("audit", "slim", **sound)
    assert answer.returncode == 0, answer.stderr
    assert f"{slim}: no known vulnerability" in answer.stdout
    with database(vulnerable=True) as bad:
        answer = build_sh("audit", "slim", **bad)
        assert answer.returncode == 2
        assert "TEST-1" in answer.stdout
        forgiven = build_sh("audit", "slim", AUDIT_ARGS="--ignore-vuln TEST-1", **bad)
        assert forgiven.returncode == 0


@pytest.mark.usefixtures("slim")
def test_a_database_that_does_not_answer_is_no_clean_audit() -> None:
    answer = build_sh("audit", "slim", **asked_at(targets.free_port()))
    assert answer.returncode == 3
    assert (
        "build.sh: the vulnerability database cannot be asked: " in answer.stderr.splitlines()[-1]
    )
    assert "no known" not in answer.stdout


STUB = """#!/bin/sh
echo "$(basename "$0") $*" >>"$LOG"
case "$*" in
  *.Architecture*) echo "$FOUND" ;;
  *.Size*) echo 1000000 ;;
  *get-caller-identity*) echo 123456789012 ;;
esac
"""


def stubbed(folder: Path, *arguments: str, architecture: str = "amd64") -> tuple[str, list[str]]:
    """Return what build.sh says on stderr, and the calls of docker and aws that it makes."""
    for name in ("docker", "aws"):
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    log = folder / "log"
    found = subprocess.run(
        [str(ROOT / "build.sh"), *arguments],
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "LOG": str(log),
            "FOUND": architecture,
            "AWS_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stderr, log.read_text().splitlines()


@pytest.mark.parametrize(
    ("arguments", "platform"), [([], "linux/amd64"), (["--platform", "linux/arm64"], "linux/arm64")]
)
def test_an_image_is_built_for_the_platform_s_cpu_unless_another_is_named(
    arguments: list[str], platform: str, tmp_path: Path
) -> None:
    said, calls = stubbed(tmp_path, "build", *arguments)
    assert said == ""
    assert f" --platform {platform} " in calls[0]


def test_an_image_for_another_cpu_is_not_pushed(tmp_path: Path) -> None:
    said, calls = stubbed(tmp_path, "push", "--tag", "mine:1", architecture="arm64")
    assert said == (
        "build.sh: mine:1 is for arm64, serverless endpoints run amd64; "
        "build it without --platform\n"
    )
    assert not any(" ecr " in call or "docker push" in call for call in calls)
    said, calls = stubbed(tmp_path, "push", "--tag", "mine:1")
    assert said == ""
    assert any(call.startswith("docker push 123456789012.dkr.ecr.us-east-1") for call in calls)
