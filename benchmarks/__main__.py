"""Run one benchmark by its name: `python -m benchmarks NAME [options]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from benchmarks.harness import cpu_kind

PROJECT = "sagemaker-serverless-sentiment"
# The module whose main() runs each benchmark, and what it measures.
BENCHMARKS = {
    "compare": ("benchmarks.compare.command", "this container beside a plain one, and their cost"),
    "coldstart": ("benchmarks.coldstart.command", "cold starts, stage by stage"),
    "threads": ("benchmarks.threads.command", "thread counts under each memory size's CPU share"),
    "roofline": ("benchmarks.roofline.command", "int8 products beside what instructions allow"),
    "batches": ("benchmarks.batches.command", "runs of the engine by their size, and padding"),
    "soak": ("benchmarks.soak.command", "a server under load for long: losses, latency, memory"),
    "fuzz": ("benchmarks.fuzz.command", "answers to odd bodies"),
    "model-faults": ("benchmarks.model_faults.command", "what is said of damaged models"),
    "rehearsal": ("benchmarks.rehearsal.command", "what the rehearsed endpoint adds to a call"),
    "forecast": (
        "benchmarks.forecast.command",
        "what `rehearse forecast` says beside rehearsals",
    ),
    "sizing": ("benchmarks.sizing.command", "what `rehearse size` recommends for three containers"),
    "models": ("benchmarks.models.command", "every architecture, served and packed"),
    "compression": (
        "benchmarks.compression.command",
        "a model and its smaller forms, side by side",
    ),
    "quality": ("benchmarks.quality", "how well the bundled model labels validation reviews"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark that is named first; the other arguments are its own."""
    listed = "\n".join(f"  {name:13} {line}" for name, (_, line) in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this project. `python -m benchmarks NAME --help` lists the options.",
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROJECT} {version(PROJECT)}")
    parser.add_argument(
        "--cpu-kind",
        choices=[kind.lower() for kind in cpu_kind.KINDS],
        help="kind of CPU to measure on: avx2 is the platform's, and hides AVX-512, VNNI and AMX "
        "where the machine has them (takes root, gcc and CPUID that can fault)",
    )
    parser.add_argument("name", metavar="NAME", choices=BENCHMARKS, help="one of those below")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of that benchmark")
    chosen = parser.parse_args(arguments)
    if chosen.cpu_kind:
        words = ["--cpu-kind", chosen.cpu_kind, chosen.name, *chosen.options]
        cpu_kind.become(chosen.cpu_kind.upper(), [sys.executable, "-m", "benchmarks", *words])
    try:
        import_module(BENCHMARKS[chosen.name][0]).main(chosen.options)
    except ModuleNotFoundError as error:
        print(f"{chosen.name} needs {error.name}: pip install '{PROJECT}[dev]'", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
