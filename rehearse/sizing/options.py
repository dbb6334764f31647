"""Read the options of `rehearse size`."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from platform_facts import MEMORY_SIZES_MB
from rehearse.data_types import ENGINES
from rehearse.forecast import options, traces

PROJECT = "sagemaker-serverless-sentiment"
STARTS, CALLS = 5, 200


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--requests", type=Path, required=True, help="JSON Lines; each line is a request")
    add("--image", default=f"{PROJECT}:{version(PROJECT)}-slim", help="default: %(default)s")
    add("--model", type=Path, help="folder to mount at /opt/ml/model; else the image brings one")
    add("--engine", choices=ENGINES, default="docker")
    add_no_freeze(parser)
    sizes = ",".join(map(str, MEMORY_SIZES_MB))
    add("--memory", type=_sizes, default=MEMORY_SIZES_MB, help=f"MB, default: {sizes}")
    add(
        "--traffic",
        default="steady",
        help=f"a CSV file with the columns minute,requests, or "
        f"{', '.join(traces.SHAPES)} (%(default)s)",
    )
    options.add_named_trace(parser)
    add("--starts", type=_count, default=STARTS, help="cold starts of each size (%(default)s)")
    add("--calls", type=_count, default=CALLS, help="warm requests of each size (%(default)s)")
    add(
        "--cpu-factor",
        type=options.positive,
        default=1.0,
        help="how many times as long the platform's CPU takes (%(default)s, a guess)",
    )
    options.add_prices(parser)
    add(
        "--out",
        type=Path,
        default=Path(),
        help="where to write report.html and profile.json (here)",
    )
    add("--json", action="store_true", help="print JSON")


def add_no_freeze(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets containers run on between requests."""
    parser.add_argument(
        "--no-freeze",
        dest="freeze",
        action="store_false",
        help="let a container run on while no request is under way; else it stands still then, as "
        "on Lambda",
    )


def _sizes(text: str) -> tuple[int, ...]:
    found = tuple(int(size) if size.isdecimal() else 0 for size in text.split(","))
    if not set(found) <= set(MEMORY_SIZES_MB):
        known = ", ".join(map(str, MEMORY_SIZES_MB))
        raise argparse.ArgumentTypeError(f"{text!r} has other memory sizes than {known}")
    return found


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100000")
    return int(text)
