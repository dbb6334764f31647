"""Read the command line of `rehearse`: run a rehearsal until a signal comes, or print its bill.

The packages of the extra `rehearse` are imported inside functions, so that the command can say
which one is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rehearse.data_plane.quotas import IDLE_SECONDS
from rehearse.errors import CannotStart, RehearsalError

if TYPE_CHECKING:
    from rehearse.container_engines import ContainerEngine
    from rehearse.rehearsal import Rehearsal

PROJECT = "sagemaker-serverless-sentiment"
PORT = 4566
BILL_SECONDS = 10.0


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


def up(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; then leave nothing behind."""
    from rehearse.metering.bill import text
    from rehearse.rehearsal import Rehearsal

    # The AWS profile and credentials of the user are not looked at, neither here nor by moto.
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        os.environ.pop(name, None)
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    # Before anything is started: a signal that comes meanwhile is not lost.
    with _signals() as signals:
        engine = _engine(given.engine)
        rehearsal = Rehearsal(engine, given.port, given.region, given.idle_seconds, given.prices)
        try:
            rehearsal.start()
            _end_leftovers(engine)
            _announce(rehearsal, engine, given)
            signals.recv(1)
            bill = rehearsal.bill.as_json()
            if bill["accounts"] and not given.json:
                print(text(bill), flush=True)
        finally:
            rehearsal.stop()
    return 0


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Give a socket that SIGINT and SIGTERM write to.

    The thread that receives a signal need not be the main one, and would not wake it.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(-1)


def bill(given: argparse.Namespace) -> int:
    """Print what the calls of a running rehearsal would have cost."""
    from rehearse.container_engines.running_container import HttpClient
    from rehearse.metering.bill import BILL_PATH, text

    with contextlib.closing(HttpClient(given.port)) as client:
        try:
            _, _, body = client.request("GET", BILL_PATH, b"", {}, BILL_SECONDS)
            found = json.loads(body)
            shown = text(found)  # fails where it is somebody else's
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise CannotStart(
                f"no rehearsal answers on port {given.port}; start `rehearse up`"
            ) from error
    print(json.dumps(found, indent=2) if given.json else shown)
    return 0


def _engine(name: str) -> ContainerEngine:
    """Return the engine that runs containers; raise ContainerEngineError if it cannot work."""
    if name == "docker":
        from rehearse.container_engines.docker_engine import DockerEngine

        return DockerEngine()
    from rehearse.container_engines.process_engine import ProcessEngine

    return ProcessEngine()


def _end_leftovers(engine: ContainerEngine) -> None:
    """End what rehearsals that were killed have left, and say so."""
    from rehearse.data_plane.cleanup import remove_leftover_folders

    containers, folders = engine.end_leftovers(), remove_leftover_folders()
    if containers or folders:
        print(
            "rehearse: ended what a rehearsal that was killed had left: "
            f"containers or their processes: {containers}, folders: {folders}",
            file=sys.stderr,
        )


def _announce(rehearsal: Rehearsal, engine: ContainerEngine, given: argparse.Namespace) -> None:
    """Print the ready line, what to export, and on stderr what the engine cannot impose."""
    if given.json:
        ready: dict[str, Any] = {"ready": True, "url": rehearsal.url, "engine": given.engine}
        ready |= {"environment": rehearsal.client_environment, "limits": engine.not_imposed}
        print(json.dumps(ready), flush=True)
        return
    not_imposed = "; ".join(engine.not_imposed)
    print(f"rehearse: not imitated by this engine: {not_imposed}", file=sys.stderr)
    print(f"rehearse: ready at {rehearsal.url}; Ctrl-C ends it. For other terminals:")
    for name, value in rehearsal.client_environment.items():
        print(f"export {name}={value}")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rehearse",
        description="A SageMaker serverless endpoint on this machine: an AWS endpoint for boto3, "
        "the SDKs and the CLI, with containers that really run.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(PROJECT)}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("up", help="serve on 127.0.0.1 until Ctrl-C")
    run.set_defaults(run=up)
    _add_port(run)
    run.add_argument("--region", default="us-east-1", help="default: %(default)s")
    run.add_argument(
        "--engine",
        choices=("docker", "process"),
        default="docker",
        help="docker: the image that CreateModel names, in the sandbox of serverless; "
        "process: the `serve` of this installation, whatever the image",
    )
    run.add_argument(
        "--idle-seconds",
        type=_seconds,
        default=IDLE_SECONDS,
        help="when an environment without calls is dropped, which the platform does not publish "
        "(default: %(default)s)",
    )
    run.add_argument("--prices", type=Path, help="a file like rehearse/prices.toml")
    run.add_argument("--json", action="store_true", help="print the ready line as JSON")
    show = commands.add_parser("bill", help="what the calls of a rehearsal would have cost")
    show.set_defaults(run=bill)
    _add_port(show)
    show.add_argument("--json", action="store_true", help="print JSON")
    return parser


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
