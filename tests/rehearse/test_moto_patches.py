"""Names of moto that are replaced, or private and used, exist; and no other module uses any."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rehearse.moto_patches.names import REPLACED, USED
from tests.conftest import ROOT

MODULES = [
    path for path in sorted((ROOT / "rehearse").rglob("*.py")) if path.parent.name != "moto_patches"
]
# docker-py's, of the connection that it leaves open: rehearse/container_engines/docker_engine.py.
DOCKER = {"_response"}


@pytest.mark.parametrize("name", [*REPLACED, *USED])
def test_a_name_of_moto_is_there(name: str) -> None:
    owner, _, last = name.rpartition(".")
    found = pkgutil.resolve_name(owner)
    assert hasattr(found, last) or f"self.{last}" in inspect.getsource(found), name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_other_modules_use_no_private_name_of_a_package_and_replace_none(path: Path) -> None:
    tree = ast.parse(path.read_text())
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("moto")
        for alias in node.names
    }
    private, replaced = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr.startswith("_") and node.attr[1] != "_" and owner not in ("self", "cls"):
                private.add(node.attr)
            if isinstance(node.ctx, ast.Store) and owner in modules:
                replaced.add(f"{owner}.{node.attr}")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr":
            replaced.add(ast.unparse(node))
    assert private <= DOCKER
    assert not replaced


def test_no_other_minor_release_of_moto_is_taken() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (given,) = [
        found
        for found in map(Requirement, extras["optional-dependencies"]["rehearse"])
        if found.name == "moto"
    ]
    major, minor, *_ = map(int, version("moto").split("."))
    assert version("moto") in given.specifier
    assert f"{major}.{minor + 1}" not in given.specifier


def test_docker_has_the_connection_that_must_be_closed() -> None:
    types = importlib.import_module("docker.types.daemon")
    assert "self._response" in inspect.getsource(types.CancellableStream)


def test_moto_s_cloudformation_is_not_imported_before_it_is_asked() -> None:
    """It brings half of moto with it, seconds of imports."""
    code = "import sys, rehearse.sagemaker_api as _; print('moto.cloudformation' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
