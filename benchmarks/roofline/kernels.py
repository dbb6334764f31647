"""Time int8 products by CPU time: a bare loop of instructions, onnxruntime's kernel, a whole model.

All run on one thread. CPU time rather than wall time: other work on the machine counts little.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import cpu_kind

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from model_handler.engines import Engine

SOURCE = Path(__file__).with_name("int8_loop.c")
PRODUCT = "MatMulIntegerToFloat"
# A kernel is timed in groups of so many seconds at least, or a clock's step would show.
GROUP_SECONDS = 0.02


def bare_loop() -> float:
    """Return products a second of this kind of CPU's instructions; raises OSError without gcc."""
    cpu_kind.BUILD.mkdir(parents=True, exist_ok=True)
    program = cpu_kind.BUILD / "int8_loop"
    # gcc handles SIGSEGV itself, by which CPUID is masked.
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run(["gcc", "-O2", "-o", program, SOURCE], check=True, env=plain)
    wide = "avx512_vnni" in cpu_kind.flags()
    instructions = "VNNI-256" if cpu_kind.kind() == cpu_kind.VNNI and not wide else cpu_kind.kind()
    found = subprocess.run([program, instructions], check=True, capture_output=True)
    return float(found.stdout)


def kernel(tokens: int, deep: int, wide: int) -> Callable[[], object]:
    """Return a product of (tokens, deep) by (deep, wide), as a packed model has it."""
    import numpy as np
    import onnxruntime

    chance = np.random.default_rng(20)
    weight = chance.integers(-63, 64, (deep, wide), dtype=np.int8)  # 7 bits, as pack-model's
    left = chance.integers(0, 256, (1, tokens, deep), dtype=np.uint8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    graph = _graph(weight).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"left": left})


def _graph(weight: np.ndarray) -> onnx.ModelProto:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "weight": weight,
        "left_scale": np.ones(1, np.float32),
        "weight_scale": np.ones(weight.shape[1], np.float32),
        "left_zero": np.array([128], np.uint8),
        "weight_zero": np.zeros(1, np.int8),
    }
    inputs = ["left", "weight", "left_scale", "weight_scale", "left_zero", "weight_zero"]
    node = helper.make_node(PRODUCT, inputs, ["product"], domain="com.microsoft")
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.UINT8, [1, None, weight.shape[0]])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    versions = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=9)


def whole(engine: Engine, tokens: int) -> Callable[[], object]:
    """Return a run of a model for one text of so many tokens."""
    import numpy as np

    from model_handler.tokens import Batch

    ids = np.full((1, tokens), 5, dtype=np.int64)
    batch = Batch(ids, np.ones_like(ids), np.zeros_like(ids))
    return lambda: engine.logits(batch)


def products(folder: Path, tokens: int, place: Path) -> int:
    """Count the int8 products in a run of a packed model, as onnxruntime's profile shows shapes."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(place / "profile")
    options.log_severity_level = 3
    graph = folder / json.loads((folder / "manifest.json").read_bytes())["graph"]
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    ids = np.full((1, tokens), 5, dtype=np.int64)
    feed = {each.name: np.ones_like(ids) for each in session.get_inputs()} | {"input_ids": ids}
    session.run(None, feed)
    events = json.loads(Path(session.end_profiling()).read_bytes())
    nodes = (each["args"] for each in events if each.get("args", {}).get("op_name") == PRODUCT)
    return sum(_multiplied(node) for node in nodes)


def _multiplied(node: dict[str, list[dict[str, list[int]]]]) -> int:
    """Return the products of one node: for each number of its result, as many as a row is long."""
    (made,) = (shape for each in node["output_type_shape"] for shape in each.values())
    left, *_ = (shape for each in node["input_type_shape"] for shape in each.values())
    return math.prod(made) * left[-1]


def fastest(run: Callable[[], object], runs: int) -> float:
    """Return the CPU seconds of the fastest of so many groups of runs, for one run."""
    run()
    start = time.thread_time()
    run()
    group = max(1, round(GROUP_SECONDS / max(time.thread_time() - start, 1e-6)))
    found = []
    for _ in range(runs):
        start = time.thread_time()
        for _ in range(group):
            run()
        found.append((time.thread_time() - start) / group)
    return min(found)
