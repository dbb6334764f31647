"""Read the command line of `rehearse`; commands.py runs what it asks for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rehearse import commands
from rehearse.data_plane.quotas import IDLE_SECONDS
from rehearse.data_types import ENGINES
from rehearse.errors import RehearsalError
from rehearse.forecast import options as forecast_options
from rehearse.sizing import options as sizing_options

PROJECT = "sagemaker-serverless-sentiment"
PORT = 4566


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 2 where it cannot run, with one line that says why."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except RehearsalError as error:
        print(f"rehearse: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("rehearse"):
            raise
        print(
            f"rehearse: {error.name} is not installed; pip install '{PROJECT}[rehearse]' "
            "(in a clone of this project: '.[rehearse]')",
            file=sys.stderr,
        )
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rehearse",
        description="A SageMaker serverless endpoint on this machine: an AWS endpoint for boto3, "
        "the SDKs and the CLI, with containers that really run.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(PROJECT)}")
    named = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(named.add_parser("up", help="serve on 127.0.0.1 until Ctrl-C"))
    show = named.add_parser("bill", help="what the calls of a rehearsal would have cost")
    show.set_defaults(run=commands.bill)
    _add_port(show)
    show.add_argument("--json", action="store_true", help="print JSON")
    table = named.add_parser("prices", help="the prices that bills are made with")
    table.set_defaults(run=commands.prices)
    table.add_argument(
        "--refresh",
        action="store_true",
        help="print those of today from the AWS Price List instead, for a file that "
        "`rehearse up --prices` takes; needs credentials with pricing:GetProducts",
    )
    table.add_argument("--region", default="us-east-1", help="default: %(default)s")
    start = named.add_parser(
        "run", help="run a command whose AWS is a running rehearsal: rehearse run -- COMMAND"
    )
    start.set_defaults(run=commands.run)
    _add_port(start)
    start.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    measure = named.add_parser("size", help="measure memory sizes, and say which to deploy")
    measure.set_defaults(run=commands.size)
    sizing_options.add_options(measure)
    predict = named.add_parser(
        "forecast", help="latency, throttles and cost of traffic that is too much for this machine"
    )
    predict.set_defaults(run=commands.forecast)
    forecast_options.add_options(predict)
    return parser


def _add_up(serve: argparse.ArgumentParser) -> None:
    serve.set_defaults(run=commands.up)
    _add_port(serve)
    serve.add_argument("--region", default="us-east-1", help="default: %(default)s")
    serve.add_argument(
        "--engine",
        choices=ENGINES,
        default="docker",
        help="docker: the image that CreateModel names, in the sandbox of serverless; "
        "process: the `serve` of this installation, whatever the image",
    )
    serve.add_argument(
        "--idle-seconds",
        type=_seconds,
        default=IDLE_SECONDS,
        help="when an environment without calls is dropped, which the platform does not publish "
        "(default: %(default)s)",
    )
    sizing_options.add_no_freeze(serve)
    serve.add_argument("--prices", type=Path, help="a file like rehearse/prices.toml")
    serve.add_argument("--json", action="store_true", help="print the ready line as JSON")


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=PORT, help="default: %(default)s")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; use 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


if __name__ == "__main__":
    sys.exit(main())
