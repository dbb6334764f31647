"""A transformers model in, a fused float32 ONNX graph out; and that optimised for onnxruntime."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

# Operators that treat each token by itself.
TOKENWISE = {"Add", "BiasGelu", "FastGelu", "LayerNormalization", "MatMul"}


def export(model: Any, path: Path) -> None:
    """Write a float32 ONNX graph: input_ids, attention_mask (int64 (B, T)) to logits (B, L)."""
    import torch

    class LogitsOnly(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    ids = torch.full((2, 16), 5, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0  # a padded row, so that masking is part of what is traced
    axes = {0: "batch", 1: "length"}
    with warnings.catch_warnings():
        # The exporter's own notices (it is the older of two, it traces) are nothing to act on.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            LogitsOnly().eval(),
            (ids, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
            opset_version=17,
            # The fusions of onnxruntime know the graphs of this exporter, not yet those of dynamo.
            dynamo=False,
        )


def fuse(source: Path, target: Path, heads: int, hidden: int) -> None:
    """Fuse attention, layer norm and GELU into onnxruntime's own operators."""
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    wanted = FusionOptions("bert")
    # Query, key and value stay products of their own, which the quantiser knows.
    wanted.use_multi_head_attention = True
    # On a CPU these two take four times as long as the additions and the norm they stand for.
    wanted.enable_skip_layer_norm = False
    wanted.enable_bias_skip_layer_norm = False
    wanted.enable_embed_layer_norm = False  # the quantiser knows look-ups in tables
    fused = optimizer.optimize_model(
        str(source),
        model_type="bert",
        num_heads=heads,
        hidden_size=hidden,
        opt_level=0,
        optimization_options=wanted,
    )
    fused.topological_sort()
    keep_first_token(fused.model.graph)
    fused.topological_sort()
    fused.save_model_to_file(str(target))


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
    """Whether all that follows an attention is tokenwise, up to a Gather of the first token."""
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
    """The tokenwise nodes that follow an attention, and nothing but them in between."""
    reached, found = set(attention.output), []
    for node in graph.node:
        if node.op_type in TOKENWISE and reached & set(node.input):
            reached |= set(node.output)
            found.append(node)
    return found


def _readers(graph: Any, nodes: list[Any], attention: Any) -> list[Any]:
    """All nodes that read what these nodes, or the attention, give."""
    given = {name for node in (attention, *nodes) for name in node.output}
    return [node for node in graph.node if given & set(node.input)]


def save(source: Path, target: Path, prepacked: bool = False) -> list[Path]:
    """Let onnxruntime optimise the graph once, here, so that no start has to; returns the files.

    "Extended" stops short of layouts that fit one kind of CPU, so the result is portable; a graph
    that has been saved so can be saved again with its weights `prepacked` for this CPU. Weights
    go to a file of their own beside the graph, `target` with the suffix .bin, which is mapped
    instead of parsed: https://onnxruntime.ai/docs/api/c/ (session configuration keys)
    """
    import onnxruntime

    weights, levels = target.with_suffix(".bin"), onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        levels.ORT_DISABLE_ALL if prepacked else levels.ORT_ENABLE_EXTENDED
    )
    options.optimized_model_filepath = str(target)
    external = "session.optimized_model_external_initializers_"
    for key, value in (
        (f"{external}file_name", weights.name),
        (f"{external}min_size_in_bytes", "1024"),
        ("session.save_external_prepacked_constant_initializers", str(int(prepacked))),
    ):
        options.add_session_config_entry(key, value)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return [target, weights]
