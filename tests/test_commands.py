"""Test what all commands have in common: help, version, and a line where an extra is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
MODULES = ["benchmarks", "training.bundled"]
COMMANDS = {
    **{name: [str(Path(sys.executable).with_name(name))] for name in PROJECT["scripts"]},
    **{f"python -m {name}": [sys.executable, "-m", name] for name in MODULES},
}
# Raises for the names in HIDDEN what Python raises for a module that is not installed.
HIDE = """
import os, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["HIDDEN"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this checkout."""
    search = os.pathsep.join([environment.pop("PYTHONPATH", ""), str(ROOT)])
    variables = {**os.environ, "PYTHONPATH": search, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120, check=False
    )


def required(lines: Iterable[str]) -> set[str]:
    """Return the names of packages that lines of pyproject.toml bring, with those of our extras."""
    names = set()
    for each in map(Requirement, lines):
        if each.name == PROJECT["name"]:
            names |= required(line for extra in each.extras for line in EXTRAS[extra])
        else:
            names.add(canonicalize_name(each.name))
    return names


def modules_of(extra: str) -> set[str]:
    """Return the top-level modules that an extra brings and a plain install does not."""
    packages = required(EXTRAS[extra]) - required(PROJECT["dependencies"])
    return {
        module
        for module, brought_by in packages_distributions().items()
        if any(canonicalize_name(each) in packages for each in brought_by)
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help(name: str) -> None:
    found = run([*COMMANDS[name], "--help"])
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("usage: ")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_its_version(name: str) -> None:
    found = run([*COMMANDS[name], "--version"])
    assert (found.returncode, found.stderr) == (0, "")
    assert re.fullmatch(rf"\S.* {re.escape(PROJECT['version'])}\n", found.stdout)


@pytest.mark.parametrize(
    ("name", "arguments", "extra"),
    [
        ("pack-model", "checkpoint packed", "compress"),
        ("shrink-model", "checkpoint smaller --data texts.jsonl", "compress"),
        ("rehearse", "up --port 0", "rehearse"),
        ("rehearse", "up --port 0 --engine process", "rehearse"),
        ("python -m training.bundled", "--data reviews --out checkpoint", "train"),
        ("python -m benchmarks", "compare", "dev"),
        ("python -m benchmarks", "soak", "dev"),
    ],
)
def test_a_command_says_how_to_install_what_it_lacks(
    name: str, arguments: str, extra: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    hidden = modules_of(extra)
    assert hidden
    command = [*COMMANDS[name], *arguments.split()]
    found = run(command, PYTHONPATH=str(tmp_path), HIDDEN=" ".join(hidden))
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
    assert re.search(rf"pip install '{PROJECT['name']}\[{extra}\]'", found.stderr)


def test_the_server_needs_no_extra(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    code = "from serve import create_app; create_app().service.handler.load()"
    search = {"PYTHONPATH": str(tmp_path), "HIDDEN": " ".join(modules_of("dev"))}
    found = run([sys.executable, "-c", code], **search)
    assert found.returncode == 0, found.stderr
