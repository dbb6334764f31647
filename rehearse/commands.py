"""Run what `rehearse` is asked: serve a rehearsal, print its bill, run a command in it.

The packages of the extra `rehearse` are imported inside functions, so that the command can say
which one is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rehearse import live_page, signals
from rehearse.errors import CannotStart

if TYPE_CHECKING:
    from rehearse.container_engines import ContainerEngine
    from rehearse.rehearsal import Rehearsal

T = TypeVar("T")
ASK_SECONDS = 10.0
# In place of the user's own profiles and credentials.
NO_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def up(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; then leave nothing behind."""
    from rehearse import container_engines
    from rehearse.data_plane.quotas import Quotas
    from rehearse.metering.bill import text
    from rehearse.rehearsal import Rehearsal

    # The AWS profile and credentials of the user are not looked at, neither here nor by moto.
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        os.environ.pop(name, None)
    os.environ |= NO_FILES
    # Before anything is started: a signal that comes meanwhile is not lost.
    with signals.received() as received:
        engine = container_engines.open_engine(given.engine)
        rehearsal = Rehearsal(
            engine,
            given.port,
            given.region,
            given.idle_seconds,
            given.prices,
            Quotas(freezes=given.freeze),
        )
        try:
            rehearsal.start()
            _end_leftovers(engine)
            _announce(rehearsal, engine, given)
            received.wait()
            bill = rehearsal.bill.as_json()
            if (bill["accounts"] or bill["transform_jobs"]) and not given.json:
                print(text(bill), flush=True)
        finally:
            rehearsal.stop()
    return 0


def bill(given: argparse.Namespace) -> int:
    """Print what the calls of a running rehearsal would have cost."""
    from rehearse.metering.bill import BILL_PATH, text

    found, shown = _ask(given.port, BILL_PATH, text)
    print(json.dumps(found, indent=2) if given.json else shown)
    return 0


def run(given: argparse.Namespace) -> int:
    """Become a command whose AWS is a running rehearsal, whatever the user's own variables say."""
    from rehearse.rehearsal import ENVIRONMENT_PATH

    ours, _ = _ask(given.port, ENVIRONMENT_PATH, lambda found: found["AWS_ENDPOINT_URL"])
    command = given.command[given.command[:1] == ["--"] :]
    if not command:
        raise CannotStart("name a command: rehearse run -- COMMAND")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and not name.upper().endswith("_PROXY")
    }
    try:
        os.execvpe(command[0], command, {**kept, **ours, **NO_FILES})
    except OSError as error:
        raise CannotStart(f"{command[0]} cannot be run: {error.strerror}") from error


def size(given: argparse.Namespace) -> int:
    """Measure memory sizes, and say which to deploy."""
    from rehearse.sizing import command

    return command.run(given)


def forecast(given: argparse.Namespace) -> int:
    """Forecast what traffic would see and cost."""
    from rehearse.forecast import command

    return command.run(given)


def prices(given: argparse.Namespace) -> int:
    """Print the table of prices, or one of today's prices from the AWS Price List."""
    from rehearse.metering.prices import PRICES

    if not given.refresh:
        print(PRICES.read_text(encoding="utf-8"), end="")
        return 0
    import tomli_w

    from rehearse.metering.price_list import fetch

    print(tomli_w.dumps(fetch(given.region)), end="")
    return 0


def _ask(port: int, path: str, read: Callable[[Any], T]) -> tuple[Any, T]:
    """Return what a running rehearsal answers, and what `read` makes of it.

    `read` raises LookupError or TypeError where it is the answer of somebody else.
    """
    from rehearse.container_engines.running_container import HttpClient

    with contextlib.closing(HttpClient(port)) as client:
        try:
            _, _, body = client.request("GET", path, b"", {}, ASK_SECONDS)
            found = json.loads(body)
            return found, read(found)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise CannotStart(
                f"no rehearsal answers on port {port}; start `rehearse up`"
            ) from error


def _end_leftovers(engine: ContainerEngine) -> None:
    """End what rehearsals that were killed have left, and say so."""
    from rehearse.data_plane.cleanup import remove_leftover_folders

    containers, folders = engine.end_leftovers(), remove_leftover_folders()
    if containers or folders:
        print(
            "rehearse: removed what a rehearsal that was killed had left: "
            f"{containers} containers or processes, {folders} folders",
            file=sys.stderr,
        )


def _announce(rehearsal: Rehearsal, engine: ContainerEngine, given: argparse.Namespace) -> None:
    """Print the ready line, what to export, and on stderr what is not imitated."""
    limits = engine.not_imposed
    if not given.freeze:
        limits += ("containers run on between requests (--no-freeze)",)
    if given.json:
        ready: dict[str, Any] = {"ready": True, "url": rehearsal.url, "engine": given.engine}
        ready |= {"environment": rehearsal.client_environment, "limits": limits}
        ready["freeze"] = given.freeze
        print(json.dumps(ready), flush=True)
        return
    print(f"rehearse: not imitated: {'; '.join(limits)}", file=sys.stderr)
    page = f"{rehearsal.url}{live_page.PATH}"
    print(f"rehearse: {page} shows what happens, in a browser", file=sys.stderr)
    print(f"rehearse: ready at {rehearsal.url}; Ctrl-C ends it. For other terminals:")
    for name, value in rehearsal.client_environment.items():
        print(f"export {name}={value}")
    sys.stdout.flush()
