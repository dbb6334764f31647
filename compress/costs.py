"""Measure what a model costs: size, parameters, multiplications, time for a text, time to start."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from compress import archive, chain, probe
from compress.drift import TOKENS
from model_handler import manifest as manifests
from model_handler import tokens
from model_handler.engines import Model
from model_handler.tokens import Batch

if TYPE_CHECKING:
    from model_handler.engines.torch_engine import TorchEngine

# How often a text is run, and a process started.
RUNS = 30
STARTS = 3
# Opens a packed model and answers once, as a server does that has just been started.
_START = """
import sys
from pathlib import Path
from model_handler import Handler
Handler(Path(sys.argv[1])).predict([sys.argv[2]])
print(flush=True)
"""


class Opened(NamedTuple):
    """A model directory and the model that was opened from it."""

    directory: Path
    model: Model


class Costs(NamedTuple):
    """What a model costs, on this CPU and its threads.

    `megabytes` are those of the files that an archive holds. `multiplications`: of numbers, for
    each token of a text of TOKENS. `p50_ms`: the median of RUNS runs of such a text, without HTTP
    and tokenizer. `start_ms`: the median from exec of a Python process to its first answer, without
    HTTP; only of packed models.
    """

    parameters: int
    megabytes: float
    multiplications: int
    p50_ms: float
    start_ms: float | None


def measure(opened: Opened) -> Costs:
    """Measure a model that is ready: settled, if it is packed."""
    directory, model = opened
    batch = _batch(model)
    if (directory / manifests.NAME).exists():
        files = list(archive.contents(directory).values())
        parameters, multiplications = _count_packed(directory, batch)
        start_ms = _start_ms(directory)
    else:
        files = chain.contents(directory)
        parameters, multiplications = _count_checkpoint(model, batch)
        start_ms = None
    return Costs(
        parameters=parameters,
        megabytes=sum(path.stat().st_size for path in files) / 1e6,
        multiplications=round(multiplications / batch.ids.shape[1]),
        p50_ms=_p50_ms(model, batch),
        start_ms=start_ms,
    )


def _batch(model: Model) -> Batch:
    """Make a row of TOKENS tokens, or of as many as the model reads."""
    longest = max(tokens.encode(model.tokenizer, probe.TEXTS), key=len)
    padded = tokens.pad([longest], model.pad_id)
    return Batch(*(each[:, :TOKENS] for each in padded))


def _p50_ms(model: Model, batch: Batch) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        model.engine.logits(batch)
        times.append(time.perf_counter() - began)
    return median(times) * 1e3


def _start_ms(directory: Path) -> float:
    times = []
    for _ in range(STARTS):
        began = time.perf_counter()
        # -P: what lies in the current directory must not be imported.
        command = [sys.executable, "-P", "-c", _START, str(directory), probe.TEXTS[0]]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            answered = process.stdout.readline()
            times.append(time.perf_counter() - began)
        if not answered:
            raise RuntimeError(f"a process that opens {directory} ended with {process.returncode}")
    return median(times) * 1e3


def _count_checkpoint(model: Model, batch: Batch) -> tuple[int, float]:
    """Count the parameters of a checkpoint, and the multiplications of a batch."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    engine: TorchEngine = model.engine  # type: ignore[assignment]  # of a checkpoint it is this one

    def attention(query: Any, key: Any, value: Any, *_: object, **__: object) -> int:
        return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]  # no hints

    # The one kernel for CPUs that PyTorch's own table lacks.
    kernels = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    engine.model.requires_grad_(False)  # DeBERTa hands parameters around, and the counter would
    # look for their gradients, which there are none of while a model only answers.
    with FlopCounterMode(display=False, custom_mapping=kernels) as counted:
        engine.run(batch)
    parameters = sum(each.numel() for each in engine.model.parameters())
    return parameters, counted.get_total_flops() / 2  # a multiplication and an addition are two


def _count_packed(directory: Path, batch: Batch) -> tuple[int, float]:
    """Count the parameters of a packed model, and the multiplications of a batch.

    As they are done: the last layer of many encoders computes the first token alone.
    """
    import onnx
    import onnxruntime

    graph = directory / manifests.read(directory).graph
    weights = onnx.load(graph, load_external_data=False).graph.initializer
    parameters = sum(_size(each.dims) for each in weights if "_scale" not in each.name)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        fields = {"input_ids": batch.ids, "attention_mask": batch.mask}
        fields["token_type_ids"] = batch.types
        session.run(None, {each.name: fields[each.name] for each in session.get_inputs()})
        events = json.loads(Path(session.end_profiling()).read_text())
    return parameters, sum(_products(each["args"]) for each in events if "args" in each)


def _products(event: dict[str, Any]) -> int:
    """Count the multiplications in the products of one operator that has run, by its shapes."""
    kind = event.get("op_name", "")
    takes, gives = (
        [next(iter(each.values())) for each in event.get(f"{which}_type_shape", [])]
        for which in ("input", "output")
    )
    if not takes or not gives:
        return 0
    if "MatMul" in kind or "Gemm" in kind:
        return _size(takes[0]) * int(gives[0][-1])
    if "Attention" in kind:  # the products of queries (B, T, H) and keys, and with values
        return 2 * _size(takes[0]) * int(takes[0][1])
    if kind == "Conv":
        return _size(gives[0]) * _size(takes[1][1:])
    return 0


def _size(shape: Any) -> int:
    size = 1
    for each in shape:
        size *= int(each)
    return size
