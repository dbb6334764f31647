"""Bodies by the hundred thousand in, what a server made of them out.

python -m benchmarks fuzz [--bodies 200000] [--seed 1] [--image TAG | --process]

An answer that is not as it should be is told with its index; its body is saved, and `--only INDEX`
with the same seed sends it again.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

from benchmarks.fuzz import hosts, tally, verdict
from benchmarks.fuzz.cases import Case, case
from benchmarks.harness import containers, machine
from benchmarks.harness.client import Client
from benchmarks.harness.servers import ROOT

SAMPLES_SECONDS = 2.0
# The server gives up after 55, and may take some more to read and to write.
ANSWER_SECONDS = 90.0
PAGE = ROOT / "benchmarks" / "fuzz" / "FUZZ.md"
MOST_TOLD = 50
SHOWN = 2000  # bytes of a body
SAVED = ROOT / "build" / "fuzz"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks fuzz", description="Send odd bodies."
    )
    parser.add_argument("--bodies", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--image", default=containers.default_image("slim"))
    parser.add_argument("--cpus", type=float, default=os.cpu_count(), help="of the container")
    parser.add_argument("--process", action="store_true", help="a process instead of a container")
    parser.add_argument("--only", type=int, metavar="INDEX", help="send this body alone")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--save", type=Path, default=SAVED, help="where bodies are saved")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    image = None if options.process else options.image
    why = containers.missing(image) if image else ""
    if why:
        raise SystemExit(f"{why}; --process does without")
    with hosts.container(image, options.cpus) if image else hosts.process() as host:
        if options.only is not None:
            sys.exit(_replay(host, case(options.seed, options.only)))
        found = run(host, options.seed, options.bodies, options.connections, options.save)
        log = hosts.read(host.log())
    for name, words in tally.summary(found, log).items():
        print(f"{name}: {words}")
    told = complaints(found, log)
    print(*told[:MOST_TOLD], sep="\n")
    options.page.write_text(tally.page(_command(options), found, log, _facts(image, options)))
    sys.exit(bool(told))


def run(host: hosts.Host, seed: int, bodies: int, connections: int, save: Path) -> tally.Tally:
    """Send bodies over so many connections."""
    from tqdm import tqdm

    found, lock, turn = tally.Tally(), threading.Lock(), iter(range(bodies))
    stop = threading.Event()

    def work() -> None:
        with closing(Client(host.port, ANSWER_SECONDS)) as client:
            while not stop.is_set():
                with lock:
                    index = next(turn, None)
                if index is None:
                    return
                sent = case(seed, index)
                status, faults = judge(client, sent)
                with lock:
                    found.answers[sent.kind, status] += 1
                    progress.update()
                    if faults:
                        found.faults[index] = faults
                        _save(save, seed, sent, faults)

    with ThreadPoolExecutor(connections) as pool, tqdm(total=bodies, unit="body") as progress:
        pending = {pool.submit(work) for _ in range(connections)}
        try:
            while pending:
                found.memory.append((found.bodies, host.memory()))
                done, pending = wait(pending, SAMPLES_SECONDS)
                for future in done:
                    future.result()
        finally:
            stop.set()
    found.memory.append((found.bodies, host.memory()))
    return found


def judge(client: Client, sent: Case) -> tuple[str, list[str]]:
    """The status of the answer, "none" if none came, and what is wrong with it."""
    try:
        answer = client.send(sent.content(), sent.headers)
    except (OSError, http.client.HTTPException) as error:
        return "none", [f"no answer: {error!r}"]
    return str(answer.status), verdict.faults(sent, answer)


def complaints(found: tally.Tally, log: hosts.Log) -> list[str]:
    """Everything that is not as it should be."""
    told = [f"body {index}: {'; '.join(faults)}" for index, faults in found.faults.items()]
    told += [f"body {index}: its text is in the log" for index in sorted(log.quoted)]
    told += [f"log: {line}" for line in log.trouble]
    return told + ([f"{log.workers} workers were started"] if log.workers != 1 else [])


def _command(options: argparse.Namespace) -> str:
    """What gives the same bodies again."""
    words = f"python -m benchmarks fuzz --bodies {options.bodies} --seed {options.seed}"
    return words + (" --process" if options.process else "")


def _facts(image: str | None, options: argparse.Namespace) -> dict[str, str]:
    """The machine and the server."""
    if image is None:
        return machine.facts() | {"server": "a process"}
    limits = f"{hosts.MEMORY} MB, {options.cpus:g} CPUs, restricted as the platform restricts it"
    return machine.facts() | {"server": containers.named(image), "container": limits}


def _save(folder: Path, seed: int, sent: Case, faults: list[str]) -> None:
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}-{sent.index}.body"
    path.write_bytes(sent.body)
    tqdm.write(f"--seed {seed} --only {sent.index} ({sent.kind}): {'; '.join(faults)}; {path}")


def _replay(host: hosts.Host, sent: Case) -> int:
    """Send one body and print all about it; 1 if its answer is wrong."""
    with closing(Client(host.port, ANSWER_SECONDS)) as client:
        status, faults = judge(client, sent)
        print(f"{sent.kind}, {len(sent.body):,} bytes, chunked: {sent.chunked}, {sent.headers}")
        print(sent.body[:SHOWN])
        print(f"status {status}", *faults, sep="\n")
    return bool(faults)
