"""Fuse the operators of a float32 ONNX graph into fewer, which onnxruntime runs faster."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

# Operators that treat each token by itself.
TOKENWISE = {"Add", "BiasGelu", "FastGelu", "LayerNormalization", "MatMul"}


def fuse(source: Path, target: Path, heads: int, hidden: int) -> None:
    """Fuse attention, layer norm and GELU into onnxruntime's own operators.

    Both graphs are in one folder, and share the weights in a file beside them. Raises whatever the
    fusions raise for a graph that they do not expect.
    """
    import onnx
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    wanted = FusionOptions("bert")
    # Query, key and value stay products of their own, which the quantiser knows.
    wanted.use_multi_head_attention = True
    # On a CPU these two take four times as long as the additions and the norm they stand for.
    wanted.enable_skip_layer_norm = False
    wanted.enable_bias_skip_layer_norm = False
    wanted.enable_embed_layer_norm = False  # the quantiser knows look-ups in tables
    model = onnx.load(source, load_external_data=False)
    # Fusions copy the graph several times. They look at few of its weights, which they take to be
    # in the working directory.
    with _quiet(), chdir(source.parent):
        fused = optimizer.optimize_by_fusion(model, "bert", heads, hidden, wanted)
    fused.topological_sort()
    keep_first_token(fused.model.graph)
    fused.topological_sort()
    outside = {
        tensor.name: tensor
        for tensor in onnx.load(source, load_external_data=False).graph.initializer
    }
    for tensor in fused.model.graph.initializer:
        if tensor.name in outside:
            tensor.CopyFrom(outside[tensor.name])
    onnx.save(fused.model, target)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the fusions print and log, which is nothing to act on, to themselves."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)


def keep_first_token(graph: Any) -> None:
    """Compute the last layer for the first token alone, where the classifier reads no other.

    Every token still is a key and a value of that layer's attention. Leaves other graphs as they
    are.
    """
    import onnx

    made_by = {name: node for node in graph.node for name in node.output}
    attention = next((n for n in reversed(graph.node) if n.op_type == "MultiHeadAttention"), None)
    query = made_by.get(attention.input[0]) if attention is not None else None
    if query is None or query.op_type != "MatMul" or not _reads_first_token(graph, attention):
        return
    all_tokens, first = query.input[0], "first_token"
    for node in [query, *_behind(graph, attention)]:
        node.input[:] = [first if name == all_tokens else name for name in node.input]
    index = onnx.helper.make_tensor("first_token_index", onnx.TensorProto.INT64, [1], [0])
    graph.initializer.append(index)
    graph.node.append(onnx.helper.make_node("Gather", [all_tokens, index.name], [first], axis=1))


def _reads_first_token(graph: Any, attention: Any) -> bool:
    """Return whether all behind an attention is tokenwise, up to a Gather of the first token."""
    import onnx

    constants = {t.name: t for t in graph.initializer} | {
        n.output[0]: n.attribute[0].t for n in graph.node if n.op_type == "Constant"
    }
    following = _behind(graph, attention)
    ends = [node for node in _readers(graph, following, attention) if node not in following]
    return bool(ends) and all(
        node.op_type == "Gather"
        and [a.i for a in node.attribute if a.name == "axis"] == [1]
        and node.input[1] in constants
        and not onnx.numpy_helper.to_array(constants[node.input[1]]).any()
        for node in ends
    )


def _behind(graph: Any, attention: Any) -> list[Any]:
    """Find the tokenwise nodes that follow an attention, with nothing but them in between."""
    reached, found = set(attention.output), []
    for node in graph.node:
        if node.op_type in TOKENWISE and reached & set(node.input):
            reached |= set(node.output)
            found.append(node)
    return found


def _readers(graph: Any, nodes: list[Any], attention: Any) -> list[Any]:
    """Find all nodes that read what these nodes, or the attention, give."""
    given = {name for node in (attention, *nodes) for name in node.output}
    return [node for node in graph.node if given & set(node.input)]
