"""A fused float32 ONNX graph in, the same graph with int8 weights out.

Each row of activations, one token, gets a scale of its own, so that a text's answer does not depend
on the texts beside it in a batch: https://arxiv.org/abs/2211.10438 (per-token quantisation).

    x (B, T, K) --Abs, ReduceMax--> m (B, T, 1)        the largest value of each token
    x / m       --QuantizeLinear--> q, uint8           127 steps up and 127 down, around 128
    q . W       --MatMulIntegerToFloat--> y (B, T, N)  W is int8 with a scale for each column
    y * m                                              the result
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Weights keep to 7 bits: without VNNI, AVX2 multiplies pairs of 8-bit numbers into a 16-bit sum
# that saturates, and 2 * 255 * 64 stays in range on every CPU.
# https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
WEIGHT_STEPS = 64
# Tables of embeddings are only looked up, so they can use all 8 bits.
TABLE_STEPS = 127
# Smaller tables (positions, token types) are not worth the operators.
TABLE_ROWS = 4096
_CONTRIB = "com.microsoft"


def quantise(source: Path, target: Path) -> None:
    """Quantise every product with constant weights, and large embedding tables."""
    import onnx

    model = onnx.load(source)
    Quantiser(model.graph).run()
    versions = {entry.domain: entry for entry in model.opset_import}
    versions[""].version = max(versions[""].version, 18)  # ReduceMax takes its axes as an input
    if _CONTRIB not in versions:
        model.opset_import.append(onnx.helper.make_opsetid(_CONTRIB, 1))
    onnx.save(model, target)


class Quantiser:
    """Rewrites one graph in place."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._nodes: list[Any] = []
        self._rows: dict[str, tuple[str, str]] = {}

    def run(self) -> None:
        """Replace the nodes and their weights."""
        import numpy as np

        self._constant("row_axis", np.array([-1], np.int64))
        self._constant("row_floor", np.array(1e-9, np.float32))  # of a row that is all zeros
        self._constant("row_step", np.array(1 / 127, np.float32))
        self._constant("row_zero", np.array(128, np.uint8))
        self._constant("weight_zero", np.array(0, np.int8))
        for node in self._graph.node:
            if node.op_type == "MatMul" and node.input[1] in self._weights:
                self._product(node)
            elif node.op_type == "Gather" and self._is_table(node.input[0]):
                self._lookup(node)
            else:
                self._nodes.append(node)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for name, tensor in self._weights.items() if name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _product(self, node: Any) -> None:
        """The product x . W for constant W (K, N)."""
        values, scales = _split(self._array(node.input[1]), axis=0, steps=WEIGHT_STEPS)
        weight, result = node.input[1], node.output[0]
        self._constant(f"{weight}_int8", values)
        self._constant(f"{weight}_scale", scales)
        quantised, largest = self._quantised_rows(node.input[0])
        product = f"{result}_unscaled"
        zeros = ["row_zero", "weight_zero"]
        inputs = [quantised, f"{weight}_int8", "row_step", f"{weight}_scale", *zeros]
        self._add("MatMulIntegerToFloat", inputs, product, domain=_CONTRIB)
        self._add("Mul", [product, largest], result)

    def _quantised_rows(self, name: str) -> tuple[str, str]:
        """The names of q and m for activations x; query, key and value share theirs."""
        if name not in self._rows:
            self._add("Abs", [name], f"{name}_abs")
            self._add("ReduceMax", [f"{name}_abs", "row_axis"], f"{name}_max", keepdims=1)
            self._add("Max", [f"{name}_max", "row_floor"], f"{name}_largest")
            self._add("Div", [name, f"{name}_largest"], f"{name}_unit")
            self._add("QuantizeLinear", [f"{name}_unit", "row_step", "row_zero"], f"{name}_uint8")
            self._rows[name] = f"{name}_uint8", f"{name}_largest"
        return self._rows[name]

    def _lookup(self, node: Any) -> None:
        """The rows `ids` of a table (V, H) of embeddings."""
        import onnx

        (table, ids), result = node.input, node.output[0]
        values, scales = _split(self._array(table), axis=1, steps=TABLE_STEPS)
        self._constant(f"{table}_int8", values)
        self._constant(f"{table}_scale", scales[:, None])
        self._add("Gather", [f"{table}_int8", ids], f"{result}_int8")
        self._add("Cast", [f"{result}_int8"], f"{result}_float", to=onnx.TensorProto.FLOAT)
        self._add("Gather", [f"{table}_scale", ids], f"{result}_scale")
        self._add("Mul", [f"{result}_float", f"{result}_scale"], result)

    def _is_table(self, name: str) -> bool:
        tensor = self._weights.get(name)
        return tensor is not None and len(tensor.dims) == 2 and tensor.dims[0] >= TABLE_ROWS

    def _array(self, name: str) -> np.ndarray:
        import onnx

        array: np.ndarray = onnx.numpy_helper.to_array(self._weights[name])
        return array

    def _constant(self, name: str, value: np.ndarray) -> None:
        import onnx

        self._weights[name] = onnx.numpy_helper.from_array(value, name)

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        import onnx

        self._nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))


def _split(weights: np.ndarray, axis: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int8 values and float32 scales: of each column (axis 0) or each row (axis 1)."""
    import numpy as np

    scales = np.maximum(np.abs(weights).max(axis=axis), 1e-9).astype(np.float32) / np.float32(steps)
    values = np.rint(weights / np.expand_dims(scales, axis))
    return np.clip(values, -steps, steps).astype(np.int8), scales
