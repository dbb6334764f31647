"""Show what a real server says and does about model directories with a fault: FAULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import requests

from benchmarks.harness import servers
from benchmarks.harness.client import HEADERS, body
from benchmarks.harness.pages import table
from benchmarks.harness.results import Benchmark, Results
from benchmarks.model_faults import spoiled_models
from benchmarks.models import architectures
from platform_facts import MODEL_DIR

# On a machine with other work, even a ping may take seconds.
START_SECONDS = 60.0
# Large weights are hashed after the first answer: so long a served model is watched.
WATCH_SECONDS = 3.0
COLUMNS = ("/ping", "/invocations", "reason", "log", "code", "eager")


def measure(_: argparse.Namespace, found: Results) -> None:
    """Try every fault."""
    from tqdm import tqdm

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint"
        architectures.make("bert", checkpoint)
        shown = tqdm(spoiled_models.FAULTS, unit="fault", disable=not sys.stderr.isatty())
        for fault in shown:
            found.say(fault, run(fault, checkpoint))


def run(fault: str, checkpoint: Path) -> dict[str, str]:
    """Start servers on the faulty directory, one as usual and one eager, and return COLUMNS."""
    with tempfile.TemporaryDirectory() as folder:
        directory, log = Path(folder) / "model", Path(folder) / "log"
        spoiled_models.make(fault, checkpoint, directory)
        launch = servers.ours(directory, MEMORY_SIZE_IN_MB="1024")
        locked = spoiled_models.FAULTS[fault][1] is spoiled_models.lock
        if locked and os.geteuid() == 0:
            # Root reads everything, unless it may never have that capability.
            command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *launch.command)
            launch = replace(launch, command=command)
        with log.open("wb") as stream, servers.running(launch, {0}, stream) as running:
            url = f"http://127.0.0.1:{running.port}"
            ask(running, f"{url}/ping")
            first = post(url)
            ping = watch(url)
            statuses = dict.fromkeys((first, post(url)))  # one, or two that differ
        eager = replace(launch, environment={**launch.environment, "MODEL_LOAD": "eager"})
        with log.open("ab") as stream, servers.running(eager, {0}, stream) as running:
            ended = ask(running, f"http://127.0.0.1:{running.port}/ping")
        if locked:
            directory.chmod(0o700)  # so that it can be removed
        reason = json.loads(ping.text)["error"] if ping.text else ""
        # The page has the platform's folder in the place of the one that was tried.
        reason = reason.replace(str(directory), MODEL_DIR).removeprefix(
            "the model could not be loaded: "
        )
        lines = log.read_text().replace(str(directory), MODEL_DIR).splitlines()
        return {
            "/ping": str(ping.status_code),
            "/invocations": ", then ".join(map(str, statuses)),
            "reason": reason,
            "log": _line(lines).replace(reason or "\0", "..."),
            "code": "**run**" if spoiled_models.trap(directory).exists() else "not run",
            "eager": "serves" if ended is None else f"exit {ended}",
        }


def ask(running: servers.Server, url: str) -> int | None:
    """Wait for an answer, whatever it is; return the exit code if the server ends instead."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            requests.get(url, timeout=START_SECONDS)
            return None
        except requests.ConnectionError:
            code = running.process.poll()
            if code is not None:
                return code
            time.sleep(0.05)
    raise TimeoutError(f"{url} does not answer")


def post(url: str) -> int:
    """Return the status of an invocation."""
    answer = requests.post(f"{url}/invocations", body("Good."), headers=HEADERS, timeout=60)
    return answer.status_code


def watch(url: str) -> requests.Response:
    """Return the first ping that fails, or else the last one."""
    end = time.monotonic() + WATCH_SECONDS
    while True:
        answer = requests.get(f"{url}/ping", timeout=START_SECONDS)
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


def page(results: Results) -> str:
    """Return the whole page."""
    lines = [
        [fault, *(results.words[column][fault].replace("|", "\\|") for column in COLUMNS)]
        for fault in results.words["reason"]
    ]
    return f"""# Faults

    {results.command}

What a real server says and does about a model directory with a fault in it. The reason stands in
the body of /ping and /invocations and in the log (stderr). "Code": whether code that came with the
model was run. "eager": what becomes of the server with `MODEL_LOAD=eager`. Large weights are hashed
once the first answer is out, so one changed bit that the probe does not feel is found then.

{table(("fault", *COLUMNS), lines)}
"""


BENCHMARK = Benchmark(
    "model-faults",
    "Show what a server says of damaged models.",
    Path(__file__).with_name("FAULTS.md"),
    lambda _: None,
    measure,
    page,
)
main = BENCHMARK.run
