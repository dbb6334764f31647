"""Give a fused float32 ONNX graph int8 weights.

Outputs of layer norms have fixed scales, see fixed_scales.py. Any other row of activations, one
token, gets a scale of its own, so that no answer depends on the texts beside it in a batch.

    x (B, T, K) --Abs, ReduceMax, Mul--> s (B, T, 1)   a 127th of the largest value of each token
    x / s       --QuantizeLinear--> q, uint8           127 steps up and 127 down, around 128
    q . W       --MatMulIntegerToFloat--> y (B, T, N)  W is int8 with a scale for each column
    y * s                                              the result

Some weights may have a wider form than that, see weights.Form.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress import weights
from compress.fixed_scales import FixedScale
from compress.rewriting import CONTRIB, Rewriting
from compress.weights import BLOCK, TABLE_ROWS, TABLE_STEPS, WEIGHT_STEPS, Form, WeightFile

# A block of so many values is a whole row, however long.
ROW = 2**30


def quantise(
    source: Path,
    target: Path,
    scales: Mapping[str, FixedScale],
    forms: Mapping[str, Form] | None = None,
    switch: Form | None = None,
) -> dict[str, str]:
    """Quantise every product with constant weights, and large embedding tables.

    `scales` are of activations that have a fixed one, `forms` of weights that get another than
    int8. With `switch`, each weight has both int8 and that form, and the graph a further input
    `wide`, bool, one for each weight, to choose. Both graphs are in one folder. Returns the
    weights, and where in the model each is used.
    """
    import onnx

    model = onnx.load(source, load_external_data=False)
    graph = Rewriting(model.graph, source.parent, WeightFile(target.with_suffix(".bin")))
    quantiser = Quantiser(graph, scales, forms or {}, switch)
    quantiser.run()
    versions = {entry.domain: entry for entry in model.opset_import}
    versions[""].version = max(versions[""].version, 21)  # QuantizeLinear has blocks
    if CONTRIB not in versions:
        model.opset_import.append(onnx.helper.make_opsetid(CONTRIB, 1))
    onnx.save(model, target)
    return quantiser.places


class Quantiser:
    """Rewrites one graph in place."""

    def __init__(
        self,
        graph: Rewriting,
        scales: Mapping[str, FixedScale],
        forms: Mapping[str, Form],
        switch: Form | None,
    ) -> None:
        self.places: dict[str, str] = {}
        self._graph = graph
        self._scales = scales
        self._forms = forms
        self._switch = switch
        self._quantised: set[str] = set()  # activations

    def run(self) -> None:
        """Replace the nodes and their weights."""
        import numpy as np
        import onnx

        self._graph.constant("row_axis", np.array([-1], np.int64))
        self._graph.constant("row_step", np.array(1 / 127, np.float32))
        self._graph.constant("no_scale", np.array(1, np.float32))
        self._graph.constant("infinite", np.array(3e38, np.float32))
        self._graph.constant("row_zero", np.array(128, np.uint8))
        self._graph.constant("weight_zero", np.array(0, np.int8))
        for node in self._graph.graph.node:
            if node.op_type == "MatMul" and any(self._graph.shape(node.input[1])):
                self._choose(node, node.input[1], node.output[0])
            elif self._is_row_by_row(node):
                product = f"{node.output[0]}_product"
                self._choose(node, node.input[1], product)
                self._graph.add("Add", [product, node.input[2]], node.output[0])
            elif node.op_type == "Gather" and self._graph.shape(node.input[0])[0] >= TABLE_ROWS:
                self._choose(node, node.input[0], node.output[0])
            elif node.op_type == "BiasGelu":  # with tanh it is off by 5e-4 at most, and faster
                self._graph.add("FastGelu", node.input, node.output[0], domain=CONTRIB)
            else:
                self._graph.nodes.append(node)
        if self._switch:
            kind, count = onnx.TensorProto.BOOL, len(self.places)
            self._graph.graph.input.append(
                onnx.helper.make_tensor_value_info("wide", kind, [count])
            )
        self._graph.finish()

    def _choose(self, node: Any, weight: str, result: str) -> None:
        """Compute what a node does with a weight, in the weight's form, or in two."""
        import numpy as np

        place = node.name.removeprefix("/model/").rpartition("/")[0].replace("/", ".")
        self.places.setdefault(weight, place or weight)
        if self._switch is None:
            self._compute(node, self._forms.get(weight, Form.INT8), result)
            return
        index = list(self.places).index(weight)
        self._graph.constant(f"index_{index}", np.array(index, np.int64))
        self._graph.add("Gather", ["wide", f"index_{index}"], f"{result}_chosen")
        both = [f"{result}_as_{form.name}" for form in (self._switch, Form.INT8)]
        for form, name in zip((self._switch, Form.INT8), both, strict=True):
            self._compute(node, form, name)
        self._graph.add("Where", [f"{result}_chosen", *both], result)

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
            self._graph.add("Gather", [given, weight], result)

    def _int8(self, given: str, weight: str, result: str) -> None:
        """Compute the product x . W for constant W (K, N)."""
        scale = self._scales.get(given)
        if not self._graph.has(f"{weight}_int8"):
            values = self._graph.array(weight)
            if scale is not None:
                values = values / scale.factors[:, None]
            values, steps = weights.split(values, axis=0, steps=WEIGHT_STEPS)
            self._graph.constant(f"{weight}_int8", values)
            self._graph.constant(f"{weight}_scale", steps)
        zero = "row_zero" if scale is None else f"{given}_zero"
        inputs = [
            f"{given}_uint8",
            f"{weight}_int8",
            "no_scale",
            f"{weight}_scale",
            zero,
            "weight_zero",
        ]
        if given not in self._quantised:  # query, key and value share theirs
            self._quantised.add(given)
            if scale is None:
                self._quantise_rows(given)
            else:
                self._quantise_all(given, scale)
        if scale is not None:
            self._graph.add("MatMulIntegerToFloat", inputs, result, domain=CONTRIB)
            return
        self._graph.add("MatMulIntegerToFloat", inputs, f"{result}_unscaled", domain=CONTRIB)
        self._graph.add("Mul", [f"{result}_unscaled", f"{given}_scale"], result)

    def _quantise_all(self, name: str, scale: FixedScale) -> None:
        """Quantise activations with a fixed scale."""
        import numpy as np

        self._graph.constant(f"{name}_factors", scale.factors)
        self._graph.constant(f"{name}_zero", np.array(scale.zero, np.uint8))
        self._graph.add("Mul", [name, f"{name}_factors"], f"{name}_scaled")
        inputs = [f"{name}_scaled", "no_scale", f"{name}_zero"]
        self._graph.add("QuantizeLinear", inputs, f"{name}_uint8")

    def _quantise_rows(self, name: str) -> None:
        """Quantise each row of activations with a scale of its own.

        Of a row of zeros the scale is 0 and 0/0 is quantised, to an integer that is multiplied by
        that scale in the end.
        """
        self._graph.add("Abs", [name], f"{name}_abs")
        self._graph.add("ReduceMax", [f"{name}_abs", "row_axis"], f"{name}_max", keepdims=1)
        self._graph.add("Mul", [f"{name}_max", "row_step"], f"{name}_scale")
        # Each row must have a zero as well: 128, whatever the scale is divided by.
        inputs = [f"{name}_scale", "infinite", "row_zero"]
        self._graph.add("QuantizeLinear", inputs, f"{name}_zeros")
        inputs = [name, f"{name}_scale", f"{name}_zeros"]
        rows = {"axis": -1, "block_size": ROW}
        self._graph.add("QuantizeLinear", inputs, f"{name}_uint8", **rows)

    def _blocks(self, given: str, weight: str, result: str) -> None:
        """Compute x . W with 8 bits in W, and a scale for each block of a column."""
        k, n = self._graph.shape(weight)
        if not self._graph.has(f"{weight}_blocks"):
            values, scales = weights.blocks(self._graph.array(weight))
            self._graph.constant(f"{weight}_blocks", values)
            self._graph.constant(f"{weight}_block_scale", scales)
        # Level 4: activations have 8 bits as well, and a scale for each block of a token.
        self._graph.add(
            "MatMulNBits",
            [given, f"{weight}_blocks", f"{weight}_block_scale"],
            result,
            domain=CONTRIB,
            **{"K": k, "N": n, "bits": 8, "block_size": BLOCK, "accuracy_level": 4},
        )

    def _float(self, given: str, weight: str, result: str) -> None:
        self._graph.add("MatMul", [given, weight], result)

    def _lookup(self, table: str, ids: str, result: str) -> None:
        """Look up the rows `ids` of a table (V, H) of embeddings."""
        import onnx

        if not self._graph.has(f"{table}_int8"):
            values, scales = weights.split(self._graph.array(table), axis=1, steps=TABLE_STEPS)
            self._graph.constant(f"{table}_int8", values)
            self._graph.constant(f"{table}_scale", scales[:, None])
        self._graph.add("Gather", [f"{table}_int8", ids], f"{result}_int8")
        self._graph.add("Cast", [f"{result}_int8"], f"{result}_float", to=onnx.TensorProto.FLOAT)
        self._graph.add("Gather", [f"{table}_scale", ids], f"{result}_scale")
        self._graph.add("Mul", [f"{result}_float", f"{result}_scale"], result)

    def _half_lookup(self, table: str, ids: str, result: str) -> None:
        import numpy as np
        import onnx

        if not self._graph.has(f"{table}_half"):
            self._graph.constant(f"{table}_half", self._graph.array(table).astype(np.float16))
        self._graph.add("Gather", [f"{table}_half", ids], f"{result}_half")
        self._graph.add("Cast", [f"{result}_half"], result, to=onnx.TensorProto.FLOAT)

    def _is_row_by_row(self, node: Any) -> bool:
        """Return whether a node is a product of all tokens, as rows of one table, and a bias."""
        return (
            node.op_type == "Gemm"
            and len(node.input) == 3
            and all(a.f == 1.0 for a in node.attribute if a.name in ("alpha", "beta"))
            and not any(a.i for a in node.attribute if a.name in ("transA", "transB"))
            and node.input[0] in self._graph.made_by
            and self._graph.made_by[node.input[0]].op_type == "Reshape"  # as in GPT-2
            and any(self._graph.shape(node.input[1]))
        )
