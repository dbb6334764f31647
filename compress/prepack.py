"""A packed model directory in, weights in the layout of this machine's CPU added to it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from model_handler import cpu
from model_handler import manifest as manifests
from model_handler.manifest import Manifest, Prepacked


def add(directory: Path) -> Prepacked:
    """Write the graph with pre-packed weights beside the portable one, and enter it.

    Takes the place of an earlier one for the same kind of CPU. Raises ModelError when the directory
    holds no whole packed model; it then stays as it was.
    """
    import onnxruntime

    manifest = manifests.read(directory)
    manifests.glance(directory, manifest.files)
    manifests.verify(directory, manifest.files)
    kind = cpu.kind()
    graph = f"prepacked-{kind}.onnx"
    with tempfile.TemporaryDirectory(prefix=".prepack-", dir=directory) as scratch:
        made = save(directory / manifest.graph, Path(scratch) / graph)
        found = Prepacked(
            cpu=kind,
            onnxruntime=onnxruntime.__version__,
            graph=graph,
            files=manifests.describe(*made),
        )
        for path in made:
            os.replace(path, directory / path.name)
    enter(manifest, found).write(directory)
    return found


def save(portable: Path, target: Path) -> list[Path]:
    """Let onnxruntime pack the weights and save them beside the graph; returns the files.

    https://onnxruntime.ai/docs/api/c/ (session.save_external_prepacked_constant_initializers)
    """
    import onnxruntime

    weights = target.with_suffix(".bin")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(target)
    external = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(f"{external}file_name", weights.name)
    options.add_session_config_entry(f"{external}min_size_in_bytes", "1024")
    options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(portable), options, providers=["CPUExecutionProvider"])
    return [target, weights]


def enter(manifest: Manifest, found: Prepacked) -> Manifest:
    """The manifest with these pre-packed weights among the others."""
    others = tuple(there for there in manifest.prepacked if there.cpu != found.cpu)
    return replace(manifest, prepacked=(*others, found))
