"""Laws of the house: who may import whom, and how large a module may grow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = {
    "serve": {"serve", "model_handler"},
    "model_handler": {"model_handler"},
    "compress": {"compress", "model_handler"},
    "training": {"training", "model_handler"},
    "rehearse": {"rehearse"},
    "deploy": {"deploy"},
}
# Within rehearse/: which packages one may import, besides itself.
LAYERS = {
    "engines": set[str](),
    "data_plane": {"engines"},
    "metering": {"engines"},
    "control_plane": {"data_plane"},
    "batch": {"engines", "data_plane", "control_plane"},
    "cloudformation": {"data_plane"},
}
HEAVY = {"torch", "transformers", "onnxruntime", "onnx", "sklearn"}
SERVING = [
    path for room in ("serve", "model_handler") for path in sorted((ROOT / room).rglob("*.py"))
]


def imports(tree: ast.AST) -> set[str]:
    """Top-level names of all modules a tree imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    others = set(ROOMS) | {"benchmarks", "tests"}
    for path in (ROOT / room).rglob("*.py"):
        found = imports(ast.parse(path.read_text())) & others
        assert found <= ROOMS[room], path


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
    """Names a statement imports itself, not inside a function."""
    return imports(node) if isinstance(node, ast.Import | ast.ImportFrom) else set()


@pytest.mark.parametrize(
    "path",
    [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_a_module_fits_on_two_screens(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 260
