"""Compare thread counts in containers with the CPU share of each memory size: THREADS.md.

Needs a Docker engine, and about five minutes with two CPUs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

from benchmarks.compare.measurements import SETTLED_SECONDS
from benchmarks.harness import containers, pages, subjects
from benchmarks.harness.client import body
from benchmarks.harness.results import Benchmark, Results
from platform_facts import MEMORY_SIZES_MB, vcpus

COUNTS = (1, 2, 3, 4)
SHORT, LONG, MANY = KINDS = (
    f"{subjects.SHORT} tokens",
    f"{subjects.LONG} tokens",
    f"{subjects.REVIEWS} reviews",
)
LEAST = 5  # requests of a kind, however long they take
# Closer than this, two counts are the same: more is noise.
NEAR = 1.05
RULE = "from model_handler import resources; print(resources.threads())"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", type=Path, nargs="?", help="default: RoBERTa-base's shape, packed")
    parser.add_argument("--image", default=containers.default_image())
    parser.add_argument("--checkpoint", type=Path, default=subjects.CHECKPOINT)
    parser.add_argument("--data", type=Path, help="folder with reviews; else they are invented")
    parser.add_argument("--seconds", type=float, default=2, help="for each kind of request")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Time requests of each kind, with each thread count, at each memory size that fits here."""
    from tqdm import tqdm

    why = containers.missing(options.image)
    if why:
        raise SystemExit(why)
    prepared = subjects.prepare(subjects.DEFAULT_MODEL, options.checkpoint, options.data)
    subject = prepared.ours
    model = options.model or subject.folder
    found.facts |= {"image": containers.named(options.image), "model": model.name}
    setup = containers.ours(model)
    short, long = (body(subject.texts[tokens]) for tokens in (subjects.SHORT, subjects.LONG))
    bodies = (short, long, body(*prepared.reviews))
    asked = dict(zip(KINDS, bodies, strict=True))
    # Every count has its turn twice, so that a slow minute of the machine meets more than one.
    turns = [(size, count) for size in containers.fitting() for count in COUNTS * 2]
    for memory, count in tqdm(turns, unit="container", disable=not sys.stderr.isatty()):
        environment = {"CPU_THREADS": str(count)}
        with containers.running(options.image, setup, memory, environment) as running:
            running.wait(asked[SHORT])
            time.sleep(SETTLED_SECONDS)
            chosen = running.container.exec_run(["python3", "-c", RULE]).output
            assert isinstance(chosen, bytes)  # an iterator only where one was asked for
            found.say(f"{memory}", {"chosen": chosen.decode().strip()})
            for kind, sent in asked.items():
                least = 1 if kind == MANY else LEAST
                for seconds in _repeat(running, sent, options.seconds, least):
                    found.add(_who(memory, count), {kind: seconds * 1e3})


def _who(memory: int, count: int) -> str:
    return f"{memory} MB, {count} threads"


def _repeat(running: containers.Running, sent: bytes, seconds: float, least: int) -> list[float]:
    """Return seconds of requests, made for so long and at least so often; one goes before them."""
    if least > 1:
        running.post(sent)
    found: list[float] = []
    start = time.perf_counter()
    while len(found) < least or time.perf_counter() - start < seconds:
        found.append(running.post(sent))
    return found


def page(results: Results) -> str:
    """Write the page."""
    return f"""# Threads

{pages.commands(results)}

Measured locally. In bold the count that `model_handler` chooses.

{pages.sections(results, _section)}

{pages.facts(results)}
"""


def _section(results: Results) -> str:
    """Write a block for each memory size, then verdicts."""
    heads = ["memory, MB", "CPU share", "threads"]
    heads += [f"{SHORT}, ms: median / mean", f"{LONG}, ms", f"{MANY}, records/s"]
    sizes = [size for size in MEMORY_SIZES_MB if str(size) in results.words.get("chosen", {})]
    lines = [_line(results, size, count) for size in sizes for count in COUNTS]
    verdicts = [_verdict(results, size) for size in sizes]
    skipped = ", ".join(str(size) for size in MEMORY_SIZES_MB if size not in sizes)
    if skipped:
        verdicts.append(f"- {skipped} MB: skipped, their CPU shares are more than this machine has")
    return "\n".join([pages.table(heads, lines), "", *verdicts])


def _line(results: Results, memory: int, count: int) -> list[str]:
    chosen = int(results.words["chosen"][str(memory)])
    short, long, many = (results.of(kind, _who(memory, count)) for kind in KINDS)
    rate = f"{subjects.REVIEWS / statistics.fmean(many) * 1e3:.1f}"
    shown = f"**{count}**" if count == chosen else str(count)
    times = [
        f"{statistics.median(each):.1f} / {statistics.fmean(each):.1f}" for each in (short, long)
    ]
    return [str(memory), f"{vcpus(memory):.2f}", shown, *times, rate]


def _verdict(results: Results, memory: int) -> str:
    """Say whether the rule's count is as good as the best one for each of the three figures.

    Counts are compared by their means. Under a quota some requests are throttled and some are not,
    and a median jumps from the one kind to the other; the mean is steady.
    """
    chosen = int(results.words["chosen"][str(memory)])
    head = f"- {memory} MB: the rule chooses {chosen}, "
    means = {
        count: [statistics.fmean(results.of(kind, _who(memory, count))) for kind in KINDS]
        for count in COUNTS
    }
    if chosen not in means:
        return f"{head}which was not measured"
    best = [min(values) for values in zip(*means.values(), strict=True)]
    slower = max(own / least for own, least in zip(means[chosen], best, strict=True))
    if slower == 1:
        return f"{head}the best for each figure"
    words = "within" if slower <= NEAR else "**not** within"
    return (
        f"{head}{words} 5 % of the best of each figure ({100 * (slower - 1):.0f} % slower at most)"
    )


BENCHMARK = Benchmark(
    "threads",
    "Compare thread counts in containers.",
    Path(__file__).with_name("THREADS.md"),
    add_options,
    measure,
    page,
    by_kind=True,
)
main = BENCHMARK.run
