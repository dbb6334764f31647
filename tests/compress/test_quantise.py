"""A product with int8 weights gives what its float32 form gives, for rows of all kinds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from compress import fixed_scales, quantise
from compress.fixed_scales import FixedScale
from model_handler.tokens import Batch

WIDTH, OUT = 64, 48
OUTLIER = 50  # how much further one channel of a layer norm reaches than the others


def session(graph: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])


def made(folder: Path, *, normed: bool) -> Path:
    """Write a graph that looks up rows of a table, norms them if wanted, and multiplies them."""
    draw = np.random.default_rng(0)
    weight = draw.standard_normal((WIDTH, OUT)).astype(np.float32)
    gamma = np.ones(WIDTH, np.float32)
    gamma[3] = OUTLIER
    weight[3] /= OUTLIER  # as trained models have it: what is large counts no more than the rest
    table = draw.standard_normal((100, WIDTH)).astype(np.float32)
    table[0], table[1] = 0, 1e-30
    table[2] *= 1e4
    constants: dict[str, np.ndarray] = {
        "table": table,
        "weight": weight,
        "gamma": gamma,
        "beta": gamma / 10,
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("LayerNormalization", ["rows", "gamma", "beta"], ["normed"]),
        helper.make_node("MatMul", ["normed" if normed else "rows", "weight"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes if normed else [nodes[0], nodes[2]],
        "product",
        [helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["B", "T"])],
        [helper.make_empty_tensor_value_info("logits")],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "float.onnx"
    onnx.save(model, path)
    return path


def batch(*ids: int) -> Batch:
    rows = np.array([ids], np.int64)
    return Batch(rows, np.ones_like(rows), np.zeros_like(rows))


def relative_errors(graph: Path, scales: dict[str, FixedScale], rows: Batch) -> np.ndarray:
    """Return the error of each row, as a share of the largest number in it."""
    int8 = graph.with_name("int8.onnx")
    quantise.quantise(graph, int8, scales)
    expected, found = (
        session(path).run(["logits"], {"input_ids": rows.ids})[0][0] for path in (graph, int8)
    )
    assert np.isfinite(found).all()
    largest = np.abs(expected).max(axis=-1)
    errors: np.ndarray = np.abs(found - expected).max(axis=-1) / np.maximum(largest, 1e-35)
    return errors


def test_rows_of_any_size_keep_their_precision(tmp_path: Path) -> None:
    errors = relative_errors(made(tmp_path, normed=False), {}, batch(*range(100)))
    assert errors[0] == 0  # all zeros
    assert errors.max() < 0.04


def test_a_fixed_scale_fits_rows_that_were_not_among_those_it_was_chosen_by(tmp_path: Path) -> None:
    graph = made(tmp_path, normed=True)
    scales = fixed_scales.choose(graph, [batch(*range(3, 70))])
    assert set(scales) == {"normed"}
    fixed = relative_errors(graph, scales, batch(*range(100)))
    for_each_row = relative_errors(graph, {}, batch(*range(100)))
    # One channel is 50 times as large as the others, to which a scale for a row leaves few steps.
    assert 4 * fixed.max() < for_each_row.max()
    assert fixed.max() < 0.1


@pytest.mark.parametrize("normed", [True, False])
def test_what_no_layer_norm_gives_has_a_scale_for_each_row(tmp_path: Path, normed: bool) -> None:
    graph = made(tmp_path, normed=normed)
    scales = fixed_scales.choose(graph, [batch(*range(3, 40))])
    quantise.quantise(graph, tmp_path / "int8.onnx", scales)
    nodes = onnx.load(tmp_path / "int8.onnx", load_external_data=False).graph.node
    assert Counter(node.op_type for node in nodes)["ReduceMax"] == (not normed)
