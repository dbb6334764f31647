"""Check that the workflow runs the commands of the README, and has no right beyond reading."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load(TEXT)
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]


def test_it_runs_the_two_commands_and_the_request_of_the_readme() -> None:
    (commands,) = re.findall(r"## Two commands\n\n```\n(.*?)```", README, re.S)
    found = [line.partition("#")[0].strip() for line in commands.splitlines()]
    assert len(found) == 2
    request = re.findall(r"```bash\n(curl.*?)```", README, re.S)[0]
    for expected in (*found, request):
        assert any(expected in script for script in SCRIPTS), expected


def test_it_builds_both_images_and_tries_one_as_the_readme_does() -> None:
    commands = [script.strip() for script in SCRIPTS if "build.sh" in script]
    assert commands[:2] == re.findall(r"^\./build\.sh (?:build|smoke) .*$", README, re.M)
    assert commands[2:] == ["./build.sh build"]
    assert "`full`, the default," in README


def test_it_may_read_the_repository_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
    assert "secrets." not in TEXT
    assert "pull_request_target" not in TEXT


def test_it_is_bounded_and_its_actions_are_pinned() -> None:
    for job in WORKFLOW["jobs"].values():
        assert re.fullmatch(r"ubuntu-\d\d\.04", job["runs-on"])
        assert job["timeout-minutes"] <= 120
    for step in STEPS:
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v0"))


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_a_script_is_one_for_the_shell(script: str) -> None:
    subprocess.run(["bash", "-n", "-c", script], check=True)
