"""Trace a transformers model as a float32 ONNX graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.weights import WeightFile
from model_handler.errors import EngineError

if TYPE_CHECKING:
    from model_handler.tokens import Batch

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def export(model: Any, names: Sequence[str], example: Batch, target: Path) -> None:
    """Write a graph from the inputs `names`, int64 (B, T) each, to logits, float32 (B, L).

    Its weights go to a file beside it, `target` with the suffix .bin. `example` is what is traced:
    rows of different lengths, so that padding is part of it. Raises EngineError where the exporter
    does not know an operator.
    """
    import onnx
    import torch

    # "eager" attention is the form that the fusions recognise; not every architecture has it.
    with suppress(AttributeError, ValueError):
        model.set_attn_implementation("eager")
    model.config.get_text_config().use_cache = False
    fields = {"input_ids": example.ids, "attention_mask": example.mask}
    fields["token_type_ids"] = example.types
    axes = {0: "batch", 1: "length"}
    outline = target.with_suffix(".outline")
    try:
        with warnings.catch_warnings():
            # The exporter's own notices (it is the older of two, it traces) are nothing to act on.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _logits_only(model, names),
                tuple(torch.from_numpy(fields[name]) for name in names),
                str(outline),
                input_names=list(names),
                output_names=["logits"],
                dynamic_axes={**dict.fromkeys(names, axes), "logits": {0: "batch"}},
                opset_version=17,
                # Weights would be copied several times on their way.
                export_params=False,
                do_constant_folding=False,
                # The fusions know the graphs of this exporter, not yet those of dynamo.
                dynamo=False,
            )
    except OSError:  # a full disk is no fault of the model
        raise
    except Exception as error:  # torch raises many types; each means the same to the owner
        reason = " ".join(str(error).split())[:200]
        raise EngineError(
            f"{model.config.model_type} cannot be packed, PyTorch cannot export it ({reason}): "
            "serve the checkpoint itself, on the full image"
        ) from error
    graph = onnx.load(outline)
    outline.unlink()
    _attach(graph.graph, model, names, WeightFile(target.with_suffix(".bin")))
    onnx.save(graph, target)


def _logits_only(model: Any, names: Sequence[str]) -> Any:
    import torch

    class LogitsOnly(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: Any) -> Any:
            return self.model(**dict(zip(names, values, strict=True))).logits

    return LogitsOnly(model).eval()


def _attach(graph: Any, model: Any, names: Sequence[str], weights: WeightFile) -> None:
    """Make initializers of the inputs that are weights, transposed where the graph does that."""
    values = {f"model.{name}": tensor for name, tensor in model.named_buffers()}
    for name, tensor in model.named_parameters(remove_duplicate=False):
        values[f"model.{name}"] = tensor
    transposed: dict[str, str] = {}  # by the output of the node that did it
    for node in graph.node:
        weight = node.input[0] if node.op_type == "Transpose" else ""
        if weight in values and list(node.attribute[0].ints) == [1, 0]:
            transposed[node.output[0]] = f"{weight}.T"
    nodes = [node for node in graph.node if node.output[0] not in transposed]
    for node in nodes:
        node.input[:] = [transposed.get(name, name) for name in node.input]
    used = {name for node in nodes for name in node.input}
    inputs = [found for found in graph.input if found.name in names]
    for name, tensor in values.items():
        array = tensor.detach().numpy()
        if name in used:
            graph.initializer.append(weights.add(name, array))
        if f"{name}.T" in used:
            graph.initializer.append(weights.add(f"{name}.T", array.T))
    for field, kept in ((graph.node, nodes), (graph.input, inputs)):
        del field[:]
        field.extend(kept)
