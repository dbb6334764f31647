"""Keep the weights of an ONNX graph: in which form, and in a file of their own beside it.

A file of their own, so that few of them are in memory at once.
"""

from __future__ import annotations

from enum import StrEnum
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
# Weights that share a scale in a product of blocks; as many activations share one.
BLOCK = 32
# Tensors of fewer bytes stay in the graph, where the fusions look at them.
SMALL = 32 * 1024
# As onnxruntime maps them: https://onnx.ai/onnx/repo-docs/ExternalData.html
ALIGNMENT = 4096


class Form(StrEnum):
    """How a weight is kept, from the smallest form to the largest.

    Measured for 16 tokens and a product of 768 by 3072 on AVX2, relative error and milliseconds:
    int8 4e-2, 0.6; blocks 5e-3, 1.7; float32 0, 2.3. float16 would be converted in every run, which
    takes 8.6 ms; rows of a table are so few that it is worth it there.
    """

    INT8 = "int8"
    BLOCKS = "8 bits in blocks"  # of a table: float16
    FLOAT = "float32"


def split(values: np.ndarray, axis: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Split weights into int8 values and float32 scales, of columns (axis 0) or rows (axis 1)."""
    import numpy as np

    largest = np.maximum(values.max(axis=axis), -values.min(axis=axis))
    scales = np.maximum(largest, 1e-9).astype(np.float32) / np.float32(steps)
    rounded = np.empty(values.shape, np.int8)
    for start in range(0, len(values), TABLE_ROWS):  # a table can have a gigabyte
        rows = slice(start, start + TABLE_ROWS)
        found = np.rint(values[rows] / (scales if axis == 0 else scales[rows, None]))
        rounded[rows] = np.clip(found, -steps, steps)
    return rounded, scales


def blocks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split weights (K, N) as MatMulNBits takes them.

    Returns uint8 (N, blocks, BLOCK) and float32 scales (N, blocks).
    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """
    import numpy as np

    k, n = values.shape
    padded = np.zeros((n, -(-k // BLOCK) * BLOCK), np.float32)
    padded[:, :k] = values.T
    parts = padded.reshape(n, -1, BLOCK)
    scales = np.maximum(abs(parts).max(axis=2), 1e-9) / np.float32(127)
    return (np.rint(parts / scales[:, :, None]) + 128).astype(np.uint8), scales


class WeightFile:
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
    """Return the values of a tensor of a graph in `folder`, mapped if they are in another file."""
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
