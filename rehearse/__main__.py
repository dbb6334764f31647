"""The console script `rehearse`: arguments in, a rehearsal until a signal, or its bill, out."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rehearse.cloud import Cloud, CloudError, Options
from rehearse.engines import Engine, EngineError
from rehearse.metering.bill import text

LOCAL = "http://127.0.0.1:{port}/rehearse/bill"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 2 where it cannot run, with one line that says why."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except CloudError as error:
        print(f"rehearse: {error}", file=sys.stderr)
        return 2


def up(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; then leave nothing behind."""
    # Of the user's AWS nothing is asked, neither here nor by moto.
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        os.environ.pop(name, None)
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    options = Options(given.port, given.region, given.idle_seconds, given.prices)
    # Before anything is started: a signal that comes meanwhile is not lost.
    with _signals() as signals:
        engine = _engine(given.engine)
        cloud = Cloud(options, engine)
        try:
            cloud.start()
            _announce(cloud, engine, given)
            signals.recv(1)
            account = cloud.bill.rows()
            if account["accounts"] and not given.json:
                print(text(account), flush=True)
        finally:
            cloud.stop()
    return 0


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that SIGINT and SIGTERM write to.

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
    import requests

    with requests.Session() as session:
        session.trust_env = False  # no proxy is in the way
        try:
            found = session.get(LOCAL.format(port=given.port), timeout=10).json()
            shown = text(found)  # fails where it is somebody else's
        except (requests.RequestException, ValueError, LookupError, TypeError) as error:
            raise CloudError(
                f"no rehearsal answers on port {given.port}; start `rehearse up`"
            ) from error
    print(json.dumps(found, indent=2) if given.json else shown)
    return 0


def _engine(name: str) -> Engine:
    """The engine that runs containers; raises CloudError if it cannot work here."""
    try:
        if name == "docker":
            from rehearse.engines.docker_engine import DockerEngine

            return DockerEngine()
        from rehearse.engines.process_engine import ProcessEngine

        return ProcessEngine()
    except EngineError as error:
        raise CloudError(str(error)) from error


def _announce(cloud: Cloud, engine: Engine, given: argparse.Namespace) -> None:
    """The ready line, what to export, and on stderr what the engine cannot do."""
    if given.json:
        ready: dict[str, Any] = {"ready": True, "url": cloud.url, "engine": given.engine}
        ready |= {"environment": cloud.environment, "limits": engine.limits}
        print(json.dumps(ready), flush=True)
        return
    print(f"rehearse: not imitated by this engine: {'; '.join(engine.limits)}", file=sys.stderr)
    print(f"rehearse: ready at {cloud.url}; Ctrl-C ends it. For other terminals:")
    for name, value in cloud.environment.items():
        print(f"export {name}={value}")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rehearse",
        description="A SageMaker serverless endpoint on this machine: an AWS endpoint for boto3, "
        "the SDKs and the CLI, with containers that really run.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("up", help="serve on 127.0.0.1 until Ctrl-C")
    run.set_defaults(run=up)
    _add_port(run)
    run.add_argument("--region", default=Options.region, help="default: %(default)s")
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
        default=Options.idle_seconds,
        help="when an environment without calls is dropped; the platform tells nobody "
        "(default: %(default)s)",
    )
    run.add_argument("--prices", type=Path, help="a file like rehearse/prices.toml")
    run.add_argument("--json", action="store_true", help="print the ready line as JSON")
    account = commands.add_parser("bill", help="what the calls of a rehearsal would have cost")
    account.set_defaults(run=bill)
    _add_port(account)
    account.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=Options.port, help="default: %(default)s")


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
