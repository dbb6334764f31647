"""Build the wheel, open it, and check that all that is shipped is in it."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from tests.conftest import BUNDLED, ROOT

TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)
LISTED = PROJECT["tool"]["setuptools"]["packages"]
# Folders of Python that are of use in a checkout only.
NOT_SHIPPED = {"benchmarks", "deploy", "requirements", "tests"}


def packages() -> set[str]:
    """Return the names of all packages in the folders that are shipped."""
    top = {path.parent.name for path in ROOT.glob("*/__init__.py")} - NOT_SHIPPED
    found = (path.parent for name in top for path in (ROOT / name).rglob("__init__.py"))
    return {".".join(path.relative_to(ROOT).parts) for path in found}


def build(folder: Path, names: set[str], project: str) -> zipfile.ZipFile:
    """Build a wheel from copies of these files and folders: a build leaves files behind."""
    source = folder / "source"
    source.mkdir()
    for name in names:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    (source / "pyproject.toml").write_text(project)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    command = [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Give the wheel of this checkout."""
    names = {each.partition(".")[0] for each in LISTED} | {"models", "README.md", "LICENSE"}
    with build(tmp_path_factory.mktemp("wheel"), names, TEXT) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    """Return the METADATA file of the wheel."""
    (name,) = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def test_every_package_is_listed() -> None:
    assert set(LISTED) == packages() | {"model_handler.bundled"}


def test_the_wheel_holds_every_module_and_no_other(wheel: zipfile.ZipFile) -> None:
    top = {name.partition(".")[0] for name in packages()}
    expected = {str(path.relative_to(ROOT)) for name in top for path in (ROOT / name).rglob("*.py")}
    assert {name for name in wheel.namelist() if name.endswith(".py")} == expected


def test_every_package_is_typed(wheel: zipfile.ZipFile) -> None:
    """One marker at the top counts for all below it.

    https://peps.python.org/pep-0561/
    """
    top = {name.partition(".")[0] for name in packages()}
    assert {f"{name}/py.typed" for name in top} <= set(wheel.namelist())


def test_the_wheel_holds_the_bundled_model_and_the_prices(wheel: zipfile.ZipFile) -> None:
    for path in BUNDLED.iterdir():
        assert wheel.read(f"model_handler/bundled/{path.name}") == path.read_bytes(), path.name
    assert wheel.read("rehearse/prices.toml") == (ROOT / "rehearse" / "prices.toml").read_bytes()


def test_the_metadata_is_whole(metadata: Message) -> None:
    project = PROJECT["project"]
    assert metadata["Name"] == project["name"]
    assert metadata["Version"] == project["version"]
    assert metadata["Summary"] == project["description"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata["Author"]
    assert metadata["Keywords"].split(",") == project["keywords"]
    assert metadata.get_all("Classifier") == project["classifiers"]
    assert metadata.get_all("Project-URL")
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    assert metadata.get_payload() == (ROOT / "README.md").read_text()


def test_the_image_gets_the_package_without_the_rehearsal_and_the_model(tmp_path: Path) -> None:
    """As the Dockerfile builds it, from the folders that .dockerignore lets through."""
    (edit,) = re.findall(r"sed -i '(.*)' /src/pyproject.toml", (ROOT / "Dockerfile").read_text())
    left = subprocess.run(["sed", edit], input=TEXT, capture_output=True, text=True, check=True)
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.M)
    names = set(allowed) - {"wheelhouse"}
    with build(tmp_path, names, left.stdout) as opened:
        inside = opened.namelist()
        (scripts,) = [each for each in inside if each.endswith("entry_points.txt")]
        assert "rehearse" not in opened.read(scripts).decode()
    packages = {name for name in names - NOT_SHIPPED if (ROOT / name / "__init__.py").exists()}
    assert {name.partition("/")[0] for name in inside if name.endswith(".py")} == packages
    assert not any("bundled" in name for name in inside)
    assert any(name.endswith("/LICENSE") for name in inside)


def test_an_entry_of_the_changelog_is_open_or_bears_the_version() -> None:
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert heads[0] == "Unreleased"
    assert PROJECT["project"]["version"] in heads
