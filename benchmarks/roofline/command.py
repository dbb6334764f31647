"""Compare int8 products a second with what the CPU's instructions allow: ROOFLINE.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import cpu_kind, machine, pages, subjects
from benchmarks.harness.results import Benchmark, Results
from benchmarks.roofline import kernels
from model_handler import Handler, Limits

TOKENS = (8, 16, 32, 64, 128, 256)
# Depth and width of the products of a RoBERTa-base: attention, and both of the feed-forward part.
SHAPES = ((768, 768), (768, 3072), (3072, 768))
LOOP, MODEL = "bare loop", "whole model"
INSTRUCTIONS = {
    cpu_kind.AVX2: "`vpmaddubsw`, `vpmaddwd`, `vpaddd`",
    cpu_kind.VNNI: "`vpdpbusd`",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", type=Path, nargs="?", help="default: RoBERTa-base's shape, packed")
    parser.add_argument("--runs", type=int, default=9, help="the fastest of so many (default 9)")
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU (default 0)")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Time the loop, each kernel and the model; the loop before and after, as clocks change."""
    from tqdm import tqdm

    folder = options.model or subjects.packed(subjects.CHECKPOINT)
    os.sched_setaffinity(0, {options.cpu})
    model = Handler(folder, Limits(1)).load()
    model.engine.settle()
    found.facts |= {"model": folder.name, "counts": f"the fastest of {options.runs}, by CPU time"}
    others = machine.OtherWork()
    rates = [kernels.bare_loop() for _ in range(options.runs)]
    with tempfile.TemporaryDirectory() as place:
        for tokens in tqdm(TOKENS, unit="length", disable=not sys.stderr.isatty()):
            for deep, wide in SHAPES:
                seconds = kernels.fastest(kernels.kernel(tokens, deep, wide), options.runs)
                rate = tokens * deep * wide / seconds
                found.add(f"{deep} x {wide}", {f"{tokens}": rate / 1e9})
            seconds = kernels.fastest(kernels.whole(model.engine, tokens), options.runs)
            rate = kernels.products(folder, tokens, Path(place)) / seconds
            found.add(MODEL, {f"{tokens}": rate / 1e9})
    rates += [kernels.bare_loop() for _ in range(options.runs)]
    found.add(LOOP, {"rate": max(rates) / 1e9})
    found.facts["other work"] = others.words()


def page(results: Results) -> str:
    """Write the page."""
    return f"""# Int8 products

{pages.commands(results)}

Measured locally. Billions of products of 8-bit numbers a second, on one thread, and how much that
is of a bare loop of the CPU's instructions for them, which works on registers alone
([int8_loop.c](int8_loop.c)): no kernel can be faster with these instructions. The kernel is
onnxruntime's `MatMulIntegerToFloat` for the products of a RoBERTa-base, depth by width; the whole
model has other operators, too, and their time counts. Where a CPU has AMX, onnxruntime may use that
instead of VNNI, and exceed the loop.

{pages.sections(results, _section)}

{pages.facts(results)}
"""


def _section(results: Results) -> str:
    (loop,) = results.of("rate", LOOP)
    shapes = [f"{deep} x {wide}" for deep, wide in SHAPES]
    lines = []
    for tokens in TOKENS:
        rates = [results.of(f"{tokens}", who)[0] for who in (*shapes, MODEL)]
        lines.append([tokens, *(f"{rate:.0f} ({rate / loop:.0%})" for rate in rates)])
    instructions = INSTRUCTIONS.get(results.kind, "of this CPU")
    words = f"The bare loop, {instructions}: {loop:.0f} billion products a second."
    return f"{words}\n\n{pages.table(('tokens', *shapes, MODEL), lines)}"


BENCHMARK = Benchmark(
    "roofline",
    "Compare int8 products a second with what the CPU's instructions allow.",
    Path(__file__).with_name("ROOFLINE.md"),
    add_options,
    measure,
    page,
    by_kind=True,
)
main = BENCHMARK.run
