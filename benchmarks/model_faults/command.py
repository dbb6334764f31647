"""Faulty model directories in, what a real server says of each out: FAULTS.md.

python -m benchmarks model-faults
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from benchmarks.harness import servers
from benchmarks.harness.client import HEADERS, body
from benchmarks.model_faults import spoiled_models

PAGE = servers.ROOT / "benchmarks" / "model_faults" / "FAULTS.md"
# Where the platform puts a model; stands in the page for the folder that was tried.
SHOWN = "/opt/ml/model"
START_SECONDS = 60.0
# Large weights are hashed after the first answer: so long a served model is watched.
WATCH_SECONDS = 3.0
HEAD = """\
# Faults

    python -m benchmarks model-faults

What a real server says and does about a model directory with a fault in it. The reason stands in
the body of /ping and /invocations and in the log (stderr). "Code": whether code that came with the
model was run. "eager": what becomes of the server with `MODEL_LOAD=eager`. Large weights are hashed
once the first answer is out, so one changed bit that the probe does not feel is found then.

| fault | /ping | /invocations | reason | log | code | eager |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Outcome:
    """What a server made of a directory."""

    what: str
    ping: int
    invocations: tuple[int, ...]  # at first, and once /ping has been watched
    reason: str
    log: str
    code_ran: bool
    eager: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Try every fault and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks model-faults",
        description="Show what a server says of damaged models.",
    )
    parser.parse_args(arguments)
    from tqdm import tqdm

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint"
        spoiled_models.make_checkpoint(checkpoint)
        shown = tqdm(spoiled_models.FAULTS, unit="fault", disable=not sys.stderr.isatty())
        PAGE.write_text(page([run(fault, checkpoint) for fault in shown]))


def run(fault: spoiled_models.Fault, checkpoint: Path) -> Outcome:
    """Start servers on the faulty directory, one as usual and one eager, and ask them."""
    with tempfile.TemporaryDirectory() as folder:
        directory, trap, log = (Path(folder) / name for name in ("model", "trap", "log"))
        spoiled_models.make(fault, checkpoint, directory, trap)
        launch = servers.ours(directory, MEMORY_SIZE_IN_MB="1024")
        if fault.locked and os.geteuid() == 0:
            # Root reads everything, unless it may never have that capability.
            command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *launch.command)
            launch = replace(launch, command=command)
        with log.open("wb") as stream, servers.running(launch, {0}, stream) as running:
            url = f"http://127.0.0.1:{running.port}"
            ask(running, f"{url}/ping")
            first = post(url)
            ping = watch(url)
            invocations = tuple(dict.fromkeys((first, post(url))))
        eager = replace(launch, environment={**launch.environment, "MODEL_LOAD": "eager"})
        with log.open("ab") as stream, servers.running(eager, {0}, stream) as running:
            ended = ask(running, f"{url.rpartition(':')[0]}:{running.port}/ping")
        if fault.locked:
            directory.chmod(0o700)  # so that it can be removed
        reason = json.loads(ping.text)["error"] if ping.text else ""
        lines = log.read_text().replace(str(directory), SHOWN).splitlines()
        reason = reason.replace(str(directory), SHOWN).removeprefix(
            "the model could not be loaded: "
        )
        return Outcome(
            fault.what if fault.base == "none" else f"{fault.base}: {fault.what}",
            ping.status_code,
            invocations,
            reason,
            _line(lines).replace(reason or "\0", "..."),
            trap.exists(),
            "serves" if ended is None else f"exit {ended}",
        )


def ask(running: servers.Server, url: str) -> int | None:
    """Wait for an answer, whatever it is; the exit code if the server ends instead."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            requests.get(url, timeout=5)
            return None
        except requests.ConnectionError:
            code = running.process.poll()
            if code is not None:
                return code
            time.sleep(0.05)
    raise TimeoutError(f"{url} does not answer")


def post(url: str) -> int:
    """The status of an invocation."""
    answer = requests.post(f"{url}/invocations", body("Good."), headers=HEADERS, timeout=60)
    return answer.status_code


def watch(url: str) -> requests.Response:
    """The first ping that fails, or else the last one."""
    end = time.monotonic() + WATCH_SECONDS
    while True:
        answer = requests.get(f"{url}/ping", timeout=5)
        if answer.status_code != 200 or time.monotonic() > end:
            return answer
        time.sleep(0.1)


def _line(lines: Sequence[str]) -> str:
    """Find the line of the log about the fault: an error, or else a warning about code."""
    for pattern in (r"ERROR model_handler\.", r"WARNING model_handler\..*not run"):
        for line in lines:
            if re.match(pattern, line):
                return line
    return ""


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page."""
    rows = []
    for found in outcomes:
        statuses = ", then ".join(map(str, found.invocations))
        ran = "**run**" if found.code_ran else "not run"
        cells = (found.what, found.ping, statuses, found.reason, found.log, ran, found.eager)
        rows.append(" | ".join(str(cell).replace("|", "\\|") for cell in cells))
    return HEAD + "".join(f"| {row} |\n" for row in rows)
