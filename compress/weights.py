"""Keep the weights of an ONNX graph in a file of their own, so that few are in memory at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Smaller tensors stay in the graph, where the fusions look at them.
SMALL = 32 * 1024
# As onnxruntime maps them: https://onnx.ai/onnx/repo-docs/ExternalData.html
ALIGNMENT = 4096


class Weights:
    """A file that tensors are added to, for graphs in the same folder."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file."""
        self._path = path
        path.write_bytes(b"")

    def add(self, name: str, values: np.ndarray) -> Any:
        """Write values to the file, unless they are few; returns their TensorProto."""
        import numpy as np
        import onnx

        if values.nbytes < SMALL:
            return onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)
        tensor = onnx.TensorProto(
            name=name,
            dims=values.shape,
            data_type=onnx.helper.np_dtype_to_tensor_dtype(values.dtype),
            data_location=onnx.TensorProto.EXTERNAL,
        )
        with self._path.open("ab") as stream:
            offset = -(-stream.tell() // ALIGNMENT) * ALIGNMENT
            stream.truncate(offset)
            np.ascontiguousarray(values).tofile(stream)
        for key, value in (
            ("location", self._path.name),
            ("offset", offset),
            ("length", values.nbytes),
        ):
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def read(tensor: Any, folder: Path) -> np.ndarray:
    """Give the values of a tensor of a graph in `folder`, mapped if they are in another file."""
    import numpy as np
    import onnx

    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        found: np.ndarray = onnx.numpy_helper.to_array(tensor)
        return found
    entry = {each.key: each.value for each in tensor.external_data}
    return np.memmap(
        folder / entry["location"],
        dtype=onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type),
        mode="r",
        offset=int(entry.get("offset", 0)),
        shape=tuple(tensor.dims),
    )
