"""What a process sees of the CPU when the platform's kind is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__
from benchmarks.harness import cpu_kind
from tests.conftest import BUNDLED

# On AVX2 alone, onnxruntime adds pairs of 8-bit products in 16 bits, which 2 * 255 * 127 exceeds:
# https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
SEEN = """
import numpy as np, onnx, onnxruntime
from numpy._core._multiarray_umath import __cpu_features__ as by_cpuid
from onnx import TensorProto, helper

tensors = [helper.make_tensor_value_info(n, t, [64, 64]) for n, t in (
    ("a", TensorProto.UINT8), ("b", TensorProto.INT8), ("y", TensorProto.INT32))]
graph = helper.make_graph(
    [helper.make_node("MatMulInteger", ["a", "b"], ["y"])], "product", tensors[:2], tensors[2:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"])
(product,) = session.run(None, {
    "a": np.full((64, 64), 255, np.uint8), "b": np.full((64, 64), 127, np.int8)})
print(by_cpuid["AVX2"], by_cpuid["AVX512F"], bool((product == 64 * 255 * 127).all()))
"""
FEATURES = "avx512f avx512_vnni avx_vnni amx_int8".split()

needs_vnni = pytest.mark.skipif(
    cpu_kind.kind() != cpu_kind.VNNI or bool(cpu_kind.unmaskable()),
    reason=f"nothing to hide, or it cannot be: {cpu_kind.unmaskable() or 'no VNNI'}",
)


def seen(command: list[str]) -> str:
    """Run a command and return its output."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@needs_vnni
def test_a_masked_process_and_its_children_compute_as_on_avx2() -> None:
    by_itself = [sys.executable, "-c", SEEN]
    assert seen(by_itself).split()[2] == "True"
    assert seen(cpu_kind.masking(by_itself)).split() == ["True", "False", "False"]
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SEEN!r}], check=True)"
    assert seen(cpu_kind.masking([sys.executable, "-c", child])).split()[1:] == ["False", "False"]


@needs_vnni
def test_a_masked_process_reads_no_hidden_flag_and_the_others_go_on_as_before() -> None:
    flags = seen(cpu_kind.masking(["grep", "-m1", "flags", "/proc/cpuinfo"])).split()
    assert "avx2" in flags
    assert not {*FEATURES} & {*flags}
    assert cpu_kind.kind() == cpu_kind.VNNI


@needs_vnni
def test_figures_name_the_kind_that_was_asked_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--cpu-kind", "avx2", "coldstart"]
    page = seen([*command, str(BUNDLED), "--parts", "start", "--runs", "1", "--out", str(tmp_path)])
    assert "python -m benchmarks --cpu-kind avx2 coldstart" in page
    assert f"| CPU kind | AVX2, {cpu_kind.HIDDEN} |" in page
    assert "without VNNI" in page


def test_a_kind_that_cannot_be_had_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(cpu_kind, "CPUINFO", cpuinfo)
    cpuinfo.write_text("flags\t\t: fpu avx2 avx512_vnni\n")
    with pytest.raises(SystemExit, match="AVX2 can be taken here: CPUID cannot be made to fault"):
        __main__.main(["--cpu-kind", "avx2", "coldstart"])
    cpuinfo.write_text("flags\t\t: fpu avx2\n")
    with pytest.raises(SystemExit, match="VNNI can be taken here: this CPU does not have it"):
        __main__.main(["--cpu-kind", "vnni", "coldstart"])
