"""Check the architecture: which package may import which, how large modules and functions are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = {
    "platform_facts": set[str](),
    "serve": {"model_handler"},
    "model_handler": set[str](),
    "compress": {"model_handler"},
    "training": {"compress", "model_handler"},
    "rehearse": set[str](),
    "deploy": set[str](),
}
# Within rehearse/: which packages one may import, besides itself.
LAYERS = {
    "container_engines": set[str](),
    "data_plane": {"container_engines"},
    "metering": {"container_engines"},
    "control_plane": {"data_plane"},
    "batch": {"container_engines", "data_plane", "control_plane"},
    "cloudformation": {"data_plane"},
    "forecast": {"data_plane", "metering"},
    "sizing": {"container_engines", "data_plane", "forecast", "metering"},
}
MODULES = [
    path for package in (*PACKAGES, "benchmarks") for path in sorted((ROOT / package).rglob("*.py"))
]
HEAVY = {"torch", "transformers", "onnxruntime", "onnx", "sklearn"}
SERVING = [
    path
    for package in ("serve", "model_handler")
    for path in sorted((ROOT / package).rglob("*.py"))
]


def imports(tree: ast.AST) -> set[str]:
    """Return the top-level names of all modules that a tree imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_those_it_may(package: str) -> None:
    others = set(PACKAGES) | {"benchmarks", "tests"}
    for path in (ROOT / package).rglob("*.py"):
        found = imports(ast.parse(path.read_text())) & others
        assert found <= PACKAGES[package] | {package, "platform_facts"}, path


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_the_rehearsal_imports_only_those_below(layer: str) -> None:
    for path in (ROOT / "rehearse" / layer).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rehearse"):
                _, _, below = f"{node.module}.".partition(".")
                names = {below.split(".")[0]} if below else {each.name for each in node.names}
                assert names & set(LAYERS) <= LAYERS[layer] | {layer}, path


@pytest.mark.parametrize("path", SERVING, ids=lambda path: path.stem)
def test_heavy_packages_are_imported_only_inside_engine_files(path: Path) -> None:
    tree = ast.parse(path.read_text())
    top = {name for node in tree.body if not isinstance(node, ast.If) for name in imports_of(node)}
    assert not top & HEAVY
    if path.parent.name != "engines":
        assert not imports(tree) & HEAVY


def imports_of(node: ast.stmt) -> set[str]:
    """Return the names that a statement imports itself, not inside a function."""
    return imports(node) if isinstance(node, ast.Import | ast.ImportFrom) else set()


def name_of(path: Path) -> str:
    """Name a module in the report of a test."""
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_fits_on_two_screens(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 260


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_fits_on_half_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


def test_a_module_is_named_after_its_duty() -> None:
    assert not {path.stem for path in MODULES} & {"common", "helpers", "misc", "utils"}
