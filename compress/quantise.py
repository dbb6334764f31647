"""Give a fused float32 ONNX graph int8 weights.

Each row of activations, one token, gets a scale of its own, so that a text's answer does not depend
on the texts beside it in a batch: https://arxiv.org/abs/2211.10438 (per-token quantisation).

    x (B, T, K) --Abs, ReduceMax--> m (B, T, 1)        the largest value of each token
    x / m       --QuantizeLinear--> q, uint8           127 steps up and 127 down, around 128
    q . W       --MatMulIntegerToFloat--> y (B, T, N)  W is int8 with a scale for each column
    y * m                                              the result

Some weights may have a wider form than that, see weights.Form.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import weights
from compress.weights import BLOCK, TABLE_ROWS, TABLE_STEPS, WEIGHT_STEPS, Form, WeightFile

if TYPE_CHECKING:
    import numpy as np

_CONTRIB = "com.microsoft"


def quantise(
    source: Path,
    target: Path,
    forms: Mapping[str, Form] | None = None,
    switch: Form | None = None,
) -> dict[str, str]:
    """Quantise every product with constant weights, and large embedding tables.

    `forms` are of weights that get another than int8. With `switch`, each weight has both int8 and
    that form, and the graph a further input `wide`, bool, one for each weight, to choose. Both
    graphs are in one folder. Returns the weights, and where in the model each is used.
    """
    import onnx

    model = onnx.load(source, load_external_data=False)
    store = WeightFile(target.with_suffix(".bin"))
    quantiser = Quantiser(model.graph, source.parent, store, forms or {}, switch)
    quantiser.run()
    versions = {entry.domain: entry for entry in model.opset_import}
    versions[""].version = max(versions[""].version, 18)  # ReduceMax takes its axes as an input
    if _CONTRIB not in versions:
        model.opset_import.append(onnx.helper.make_opsetid(_CONTRIB, 1))
    onnx.save(model, target)
    return quantiser.places


class Quantiser:
    """Rewrites one graph in place."""

    def __init__(
        self,
        graph: Any,
        folder: Path,
        store: WeightFile,
        forms: Mapping[str, Form],
        switch: Form | None,
    ) -> None:
        self.places: dict[str, str] = {}
        self._graph = graph
        self._folder = folder
        self._store = store
        self._forms = forms
        self._switch = switch
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._made_by = {name: node for node in graph.node for name in node.output}
        self._nodes: list[Any] = []
        self._rows: dict[str, tuple[str, str]] = {}

    def run(self) -> None:
        """Replace the nodes and their weights."""
        import numpy as np
        import onnx

        self._constant("row_axis", np.array([-1], np.int64))
        self._constant("row_floor", np.array(1e-9, np.float32))  # of a row that is all zeros
        self._constant("row_step", np.array(1 / 127, np.float32))
        self._constant("row_zero", np.array(128, np.uint8))
        self._constant("weight_zero", np.array(0, np.int8))
        for node in self._graph.node:
            if node.op_type == "MatMul" and self._is_matrix(node.input[1]):
                self._choose(node, node.input[1], node.output[0])
            elif self._is_row_by_row(node):
                product = f"{node.output[0]}_product"
                self._choose(node, node.input[1], product)
                self._add("Add", [product, node.input[2]], node.output[0])
            elif node.op_type == "Gather" and self._is_table(node.input[0]):
                self._choose(node, node.input[0], node.output[0])
            else:
                self._nodes.append(node)
        if self._switch:
            kind, count = onnx.TensorProto.BOOL, len(self.places)
            self._graph.input.append(onnx.helper.make_tensor_value_info("wide", kind, [count]))
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for name, tensor in self._weights.items() if name in used]
        for field, found in ((self._graph.node, self._nodes), (self._graph.initializer, kept)):
            del field[:]
            field.extend(found)

    def _choose(self, node: Any, weight: str, result: str) -> None:
        """Compute what a node does with a weight, in the weight's form, or in two."""
        import numpy as np

        place = node.name.removeprefix("/model/").rpartition("/")[0].replace("/", ".")
        self.places.setdefault(weight, place or weight)
        if self._switch is None:
            self._compute(node, self._forms.get(weight, Form.INT8), result)
            return
        index = list(self.places).index(weight)
        self._constant(f"index_{index}", np.array(index, np.int64))
        self._add("Gather", ["wide", f"index_{index}"], f"{result}_chosen")
        both = [f"{result}_as_{form.name}" for form in (self._switch, Form.INT8)]
        for form, name in zip((self._switch, Form.INT8), both, strict=True):
            self._compute(node, form, name)
        self._add("Where", [f"{result}_chosen", *both], result)

    def _compute(self, node: Any, form: Form, result: str) -> None:
        given, weight = node.input[:2]
        if node.op_type != "Gather":
            {Form.INT8: self._int8, Form.BLOCKS: self._blocks, Form.FLOAT: self._float}[form](
                given, weight, result
            )
        elif form is Form.INT8:
            self._lookup(given, weight, result)
        elif form is Form.BLOCKS:
            self._half_lookup(given, weight, result)
        else:
            self._add("Gather", [given, weight], result)

    def _int8(self, given: str, weight: str, result: str) -> None:
        """Compute the product x . W for constant W (K, N)."""
        if f"{weight}_int8" not in self._weights:
            values, scales = weights.split(self._array(weight), axis=0, steps=WEIGHT_STEPS)
            self._constant(f"{weight}_int8", values)
            self._constant(f"{weight}_scale", scales)
        quantised, largest = self._quantised_rows(given)
        product = f"{result}_unscaled"
        zeros = ["row_zero", "weight_zero"]
        inputs = [quantised, f"{weight}_int8", "row_step", f"{weight}_scale", *zeros]
        self._add("MatMulIntegerToFloat", inputs, product, domain=_CONTRIB)
        self._add("Mul", [product, largest], result)

    def _quantised_rows(self, name: str) -> tuple[str, str]:
        """Name q and m for activations x; query, key and value share theirs."""
        if name not in self._rows:
            self._add("Abs", [name], f"{name}_abs")
            self._add("ReduceMax", [f"{name}_abs", "row_axis"], f"{name}_max", keepdims=1)
            self._add("Max", [f"{name}_max", "row_floor"], f"{name}_largest")
            self._add("Div", [name, f"{name}_largest"], f"{name}_unit")
            self._add("QuantizeLinear", [f"{name}_unit", "row_step", "row_zero"], f"{name}_uint8")
            self._rows[name] = f"{name}_uint8", f"{name}_largest"
        return self._rows[name]

    def _blocks(self, given: str, weight: str, result: str) -> None:
        """Compute x . W with 8 bits in W, and a scale for each block of a column."""
        k, n = self._weights[weight].dims
        if f"{weight}_blocks" not in self._weights:
            values, scales = weights.blocks(self._array(weight))
            self._constant(f"{weight}_blocks", values)
            self._constant(f"{weight}_block_scale", scales)
        # Level 4: activations have 8 bits as well, and a scale for each block of a token.
        self._add(
            "MatMulNBits",
            [given, f"{weight}_blocks", f"{weight}_block_scale"],
            result,
            domain=_CONTRIB,
            **{"K": k, "N": n, "bits": 8, "block_size": BLOCK, "accuracy_level": 4},
        )

    def _float(self, given: str, weight: str, result: str) -> None:
        self._add("MatMul", [given, weight], result)

    def _lookup(self, table: str, ids: str, result: str) -> None:
        """Look up the rows `ids` of a table (V, H) of embeddings."""
        import onnx

        if f"{table}_int8" not in self._weights:
            values, scales = weights.split(self._array(table), axis=1, steps=TABLE_STEPS)
            self._constant(f"{table}_int8", values)
            self._constant(f"{table}_scale", scales[:, None])
        self._add("Gather", [f"{table}_int8", ids], f"{result}_int8")
        self._add("Cast", [f"{result}_int8"], f"{result}_float", to=onnx.TensorProto.FLOAT)
        self._add("Gather", [f"{table}_scale", ids], f"{result}_scale")
        self._add("Mul", [f"{result}_float", f"{result}_scale"], result)

    def _half_lookup(self, table: str, ids: str, result: str) -> None:
        import numpy as np
        import onnx

        if f"{table}_half" not in self._weights:
            self._constant(f"{table}_half", self._array(table).astype(np.float16))
        self._add("Gather", [f"{table}_half", ids], f"{result}_half")
        self._add("Cast", [f"{result}_half"], result, to=onnx.TensorProto.FLOAT)

    def _is_matrix(self, name: str) -> bool:
        import onnx

        tensor = self._weights.get(name)
        return (
            tensor is not None
            and len(tensor.dims) == 2
            and tensor.data_type == onnx.TensorProto.FLOAT
        )

    def _is_table(self, name: str) -> bool:
        return self._is_matrix(name) and self._weights[name].dims[0] >= TABLE_ROWS

    def _is_row_by_row(self, node: Any) -> bool:
        """Return whether a node is a product of all tokens, as rows of one table, and a bias."""
        return (
            node.op_type == "Gemm"
            and len(node.input) == 3
            and all(a.f == 1.0 for a in node.attribute if a.name in ("alpha", "beta"))
            and not any(a.i for a in node.attribute if a.name in ("transA", "transB"))
            and node.input[0] in self._made_by
            and self._made_by[node.input[0]].op_type == "Reshape"  # as in GPT-2
            and self._is_matrix(node.input[1])
        )

    def _array(self, name: str) -> np.ndarray:
        return weights.read(self._weights[name], self._folder)

    def _constant(self, name: str, value: np.ndarray) -> None:
        self._weights[name] = self._store.add(name, value)

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        import onnx

        self._nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))
