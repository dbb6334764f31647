"""Send odd bodies to a server, by the hundred thousand, and check each answer: FUZZ.md.

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

from benchmarks.fuzz import answer_check, fuzz_page, target
from benchmarks.fuzz.cases import Case, case
from benchmarks.fuzz.findings import Findings, keep
from benchmarks.harness import containers
from benchmarks.harness.client import Client
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.servers import ROOT

SAMPLES_SECONDS = 2.0
# The server gives up after 55, and may take some more to read and to write.
ANSWER_SECONDS = 90.0
SHOWN = 2000  # bytes of a body
SAVED = ROOT / "build" / "fuzz"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exit with 1 if something was not as it should be."""
    sys.exit("complaint" in BENCHMARK.run(arguments).words)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--bodies", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--image", default=containers.default_image("slim"))
    parser.add_argument("--cpus", type=float, default=os.cpu_count(), help="of the container")
    parser.add_argument("--process", action="store_true", help="a process instead of a container")
    parser.add_argument("--only", type=int, metavar="INDEX", help="send this body alone")
    parser.add_argument("--save", type=Path, default=SAVED, help="where bodies are saved")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Send the bodies to a server that is started for them, and keep what came of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped
    if options.process:
        found.facts["server"] = "a process"
        starting = target.process()
    else:
        if why := containers.missing(options.image):
            raise SystemExit(f"{why}; --process does without")
        found.facts["server"] = containers.named(options.image)
        limits = f"{target.MEMORY_MB} MB, {options.cpus:g} CPUs, restricted as on the platform"
        found.facts["container"] = limits
        starting = target.container(options.image, options.cpus)
    with starting as server:
        if options.only is not None:
            sys.exit(replay(server, case(options.seed, options.only)))
        seen = run(server, options.seed, options.bodies, options.connections, options.save)
        seen.read_log(server.log())
    keep(seen, found)


def run(server: target.Target, seed: int, bodies: int, connections: int, save: Path) -> Findings:
    """Send bodies over so many connections, and sample the memory meanwhile."""
    from tqdm import tqdm

    found, lock, turn = Findings(), threading.Lock(), iter(range(bodies))
    stop = threading.Event()

    def work() -> None:
        with closing(Client(server.port, ANSWER_SECONDS)) as client:
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

    def sample() -> None:
        found.memory.append((found.answers.total(), server.memory()))

    with ThreadPoolExecutor(connections) as pool, tqdm(total=bodies, unit="body") as progress:
        pending = {pool.submit(work) for _ in range(connections)}
        try:
            while pending:
                sample()
                done, pending = wait(pending, SAMPLES_SECONDS)
                for future in done:
                    future.result()
        finally:
            stop.set()
    sample()
    return found


def judge(client: Client, sent: Case) -> tuple[str, list[str]]:
    """Return the status of the answer, "none" if none came, and what is wrong with it."""
    try:
        answer = client.send(sent.content(), sent.headers)
    except (OSError, http.client.HTTPException) as error:
        return "none", [f"no answer: {error!r}"]
    return str(answer.status), answer_check.faults(sent, answer)


def _save(folder: Path, seed: int, sent: Case, faults: list[str]) -> None:
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}-{sent.index}.body"
    path.write_bytes(sent.body)
    tqdm.write(f"--seed {seed} --only {sent.index} ({sent.kind}): {'; '.join(faults)}; {path}")


def replay(server: target.Target, sent: Case) -> int:
    """Send one body and print all about it; return 1 if its answer is wrong."""
    with closing(Client(server.port, ANSWER_SECONDS)) as client:
        status, faults = judge(client, sent)
        print(f"{sent.kind}, {len(sent.body):,} bytes, chunked: {sent.chunked}, {sent.headers}")
        print(sent.body[:SHOWN])
        print(f"status {status}", *faults, sep="\n")
    return bool(faults)


BENCHMARK = Benchmark(
    "fuzz",
    "Send odd bodies.",
    Path(__file__).with_name("FUZZ.md"),
    add_options,
    measure,
    fuzz_page.page,
)
