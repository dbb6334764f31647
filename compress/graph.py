"""A transformers model in, an optimised int8 ONNX graph out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any


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

    fused = optimizer.optimize_model(
        str(source), model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=0
    )
    fused.save_model_to_file(str(target))


def quantise(source: Path, target: Path) -> None:
    """Quantise weights to int8: per output channel in matrix products, embeddings too.

    Weights keep to 7 bits (reduce_range): without VNNI, AVX2 multiplies pairs of 8-bit numbers into
    a 16-bit sum that saturates, and 7 bits keep that sum in range on every CPU.
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(source),
        str(target),
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={
            "MatMulConstBOnly": True,
            # Shape inference does not know the fused operators; all their results are floats.
            "DefaultTensorType": onnx.TensorProto.FLOAT,
        },
    )


def optimise(source: Path, target: Path) -> None:
    """Let onnxruntime optimise the graph once, here, so that no start has to.

    "Extended" stops short of layouts that fit one kind of CPU, so the result is portable. Weights
    go to a file of their own beside the graph, `target` with the suffix .bin, which is mapped
    instead of parsed: https://onnxruntime.ai/docs/api/c/ (session configuration keys)
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    prefix = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(f"{prefix}file_name", target.with_suffix(".bin").name)
    options.add_session_config_entry(f"{prefix}min_size_in_bytes", "1024")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
