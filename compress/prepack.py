"""A packed model directory in, weights in the layout of this machine's CPU added to it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from compress import folder, interrupts
from compress import graph as graphs
from model_handler import manifest as manifests
from model_handler import resources
from model_handler.manifest import Manifest, Prepacked


def add(directory: Path) -> Prepacked:
    """Write the graph with pre-packed weights beside the portable one, and enter it.

    Takes the place of an earlier one for the same kind of CPU. Raises ModelError when the directory
    holds no whole packed model; it then stays as it was.
    """
    import onnxruntime

    manifest = manifests.read(directory)
    manifests.verify(directory, manifest.files)
    kind = resources.cpu_kind()
    graph = f"prepacked-{kind}.onnx"
    with tempfile.TemporaryDirectory(prefix=".prepack-", dir=directory) as scratch:
        with folder.full_disk_noticed(directory):
            made = graphs.save(directory / manifest.graph, Path(scratch) / graph, prepacked=True)
        found = Prepacked(
            cpu=kind,
            onnxruntime=onnxruntime.__version__,
            graph=graph,
            files=manifests.describe(*made),
        )
        enter(manifest, found).write(Path(scratch))
        with interrupts.held():  # the manifest must not be that of other files
            for path in (*made, Path(scratch) / manifests.NAME):
                os.replace(path, directory / path.name)
    return found


def enter(manifest: Manifest, found: Prepacked) -> Manifest:
    """The manifest with these pre-packed weights among the others."""
    others = tuple(there for there in manifest.prepacked if there.cpu != found.cpu)
    return replace(manifest, prepacked=(*others, found))
