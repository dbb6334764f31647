"""Choose fixed scales for the outputs of layer norms, by what rows of many kinds make of them.

A layer norm gives each token the same norm, whatever the text: how far each channel reaches is a
property of the model. Channels differ by a factor of 50 and more, though, so each gets a factor of
its own, whose inverse goes into the weights: https://arxiv.org/abs/2211.10438 (SmoothQuant).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from compress import weights
from model_handler import Limits, resources
from model_handler.tokens import Batch

if TYPE_CHECKING:
    import numpy as np

# How much of the difference between channels goes into the weights. Measured on two fine-tuned
# models, answers drift as with a scale for each token; with 0 or 0.8 some drift twice as far.
SHARE = 0.5
# Of the largest: so far a channel may reach at least, were it silent in all rows that are tried.
LEAST = 1e-3
STEPS = 255  # of uint8
# Other texts may reach a little further; what is beyond is cut off.
MARGIN = 1.1


class FixedScale(NamedTuple):
    """How activations x (B, T, K) become uint8: x * factors + zero, rounded; float32 (K,)."""

    factors: np.ndarray
    zero: int


def choose(source: Path, batches: Iterable[Batch]) -> dict[str, FixedScale]:
    """Choose a scale for each activation of a float32 graph that a layer norm gives to a product.

    `batches` are rows that have no padding. Returns scales by the name of the activation.
    """
    import onnx

    model = onnx.load(source, load_external_data=False)
    largest = dict(_products(model.graph, source.parent))
    if not largest:
        return {}
    model.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, largest))
    measured = source.with_name("measured.onnx")
    onnx.save(model, measured)
    reached = _reached(measured, list(largest), batches)
    return {name: _scale(*reached[name], weight) for name, weight in largest.items()}


def _products(graph: Any, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Find normed activations, and the largest weight that each channel meets, (K,)."""
    import numpy as np

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    given: dict[str, set[str]] = defaultdict(set)  # the activations that meet a weight
    for node in graph.node:
        if node.op_type == "MatMul" and len(getattr(tensors.get(node.input[1]), "dims", ())) == 2:
            given[node.input[1]].add(node.input[0])
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    shared: set[str] = set()  # with other layers, as in ALBERT: the weight can have one form only
    for weight, names in given.items():
        if len(names) > 1:
            shared |= names
        values = weights.read(tensors[weight], folder)
        for name in names:
            found[name].append(np.maximum(values.max(axis=1), -values.min(axis=1)))
    for name in found.keys() - shared:
        origin = made_by.get(name)
        if origin is not None and origin.op_type == "Gather":  # of the first token
            origin = made_by.get(origin.input[0])
        if origin is not None and origin.op_type == "LayerNormalization":
            yield name, np.max(found[name], axis=0)


def _reached(
    graph: Path, names: list[str], batches: Iterable[Batch]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Measure the least and the most of each channel, (K,) each."""
    import numpy as np

    from model_handler.engines import onnx_engine

    session = onnx_engine.open_session(graph, Limits(resources.threads()))
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for batch in batches:
        for name, values in zip(names, onnx_engine.outputs(session, batch, names), strict=True):
            channels = values.reshape(-1, values.shape[-1])
            low, high = channels.min(axis=0), channels.max(axis=0)
            if name in found:
                low, high = np.minimum(low, found[name][0]), np.maximum(high, found[name][1])
            found[name] = low, high
    return found


def _scale(low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> FixedScale:
    import numpy as np

    reach = np.maximum(-low, high)
    reach, weight = (np.maximum(each, LEAST * each.max()) for each in (reach, weight))
    smooth = reach**SHARE / weight ** (1 - SHARE)
    least = MARGIN * min(0.0, (low / smooth).min())
    most = MARGIN * max(0.0, (high / smooth).max())
    step = (most - least) / STEPS
    return FixedScale((1 / (smooth * step)).astype(np.float32), round(-least / step))
