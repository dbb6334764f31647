"""Write the nodes of an ONNX graph anew, one by one, and its weights to a file of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import weights
from compress.weights import WeightFile

if TYPE_CHECKING:
    import numpy as np

CONTRIB = "com.microsoft"


class Rewriting:
    """A graph in `folder`; what is added takes the place of its nodes at the end."""

    def __init__(self, graph: Any, folder: Path, store: WeightFile) -> None:
        self.graph = graph
        self.made_by = {name: node for node in graph.node for name in node.output}
        self.nodes: list[Any] = []
        self._folder = folder
        self._store = store
        self._weights = {tensor.name: tensor for tensor in graph.initializer}

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Add a node; operators of onnxruntime's own have the domain CONTRIB."""
        import onnx

        self.nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))

    def constant(self, name: str, value: np.ndarray) -> None:
        """Add a weight."""
        self._weights[name] = self._store.add(name, value)

    def has(self, name: str) -> bool:
        """Return whether there is a weight of this name."""
        return name in self._weights

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a weight that is a float32 matrix, (0, 0) for anything else."""
        import onnx

        tensor = self._weights.get(name)
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 2:
            return (0, 0)
        return tuple(tensor.dims)

    def array(self, name: str) -> np.ndarray:
        """Return the values of a weight."""
        return weights.read(self._weights[name], self._folder)

    def finish(self) -> None:
        """Replace the graph's nodes, and keep the weights that these use."""
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for name, tensor in self._weights.items() if name in used]
        for field, found in ((self.graph.node, self.nodes), (self.graph.initializer, kept)):
            del field[:]
            field.extend(found)
