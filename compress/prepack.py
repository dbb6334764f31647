"""Optimise a graph for onnxruntime, and add weights in the layout of this machine's CPU."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from compress import folder, interrupts
from model_handler import manifest as manifests
from model_handler import resources
from model_handler.manifest import Manifest, Prepacked


def optimise(source: Path, target: Path, prepacked: bool = False) -> list[Path]:
    """Let onnxruntime optimise a graph once, so that no start has to; returns the files written.

    "Extended" stops short of layouts that fit one kind of CPU, so the result is portable; a graph
    that was optimised so can be written again with its weights `prepacked` for this CPU. Weights go
    to a file of their own beside the graph, `target` with the suffix .bin, which is mapped
    instead of parsed: https://onnxruntime.ai/docs/api/c/ (session configuration keys)
    """
    import onnxruntime

    weights, levels = target.with_suffix(".bin"), onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        levels.ORT_DISABLE_ALL if prepacked else levels.ORT_ENABLE_EXTENDED
    )
    options.optimized_model_filepath = str(target)
    external = "session.optimized_model_external_initializers_"
    for key, value in (
        (f"{external}file_name", weights.name),
        (f"{external}min_size_in_bytes", "1024"),
        ("session.save_external_prepacked_constant_initializers", str(int(prepacked))),
    ):
        options.add_session_config_entry(key, value)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return [target, weights]


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
            made = optimise(directory / manifest.graph, Path(scratch) / graph, prepacked=True)
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
    """Return the manifest with these pre-packed weights among the others."""
    others = tuple(there for there in manifest.prepacked if there.cpu != found.cpu)
    return manifest._replace(prepacked=(*others, found))
