"""A packed model in; how fast each thread count is under each memory size's CPU share out.

python -m benchmarks threads [MODEL_DIR] [--image TAG] [--seconds 2]: needs a Docker engine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.compare.measurements import SETTLED_SECONDS
from benchmarks.harness import containers, subjects
from benchmarks.harness.client import body
from platform_facts import MEMORY_SIZES_MB, vcpus

COUNTS = (1, 2, 3, 4)
LEAST = 5  # requests of a kind, however long they take
# Closer than this, two counts are the same: more is noise.
NEAR = 1.05
NAMES = ("16 tokens, ms: median / mean", "64 tokens, ms", "64 reviews, records/s")


@dataclass(frozen=True)
class Cell:
    """Seconds of requests with a thread count under a CPU share; `chosen` is the rule's count."""

    memory: int
    threads: int
    chosen: int
    short: list[float]
    long: list[float]
    many: list[float]

    def means(self) -> list[float]:
        """What counts are compared by.

        Under a quota some requests are throttled and some are not, and a median jumps from the
        one kind to the other; the mean is steady.
        """
        return [statistics.fmean(times) for times in (self.short, self.long, self.many)]

    def with_times_of(self, other: Cell) -> Cell:
        """Both cells' times in one."""
        short, long, many = (
            [*getattr(self, name), *getattr(other, name)] for name in ("short", "long", "many")
        )
        return replace(self, short=short, long=long, many=many)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Compare thread counts in containers.")
    parser.add_argument("model", type=Path, nargs="?", help="default: RoBERTa-base's shape, packed")
    parser.add_argument("--image", default=containers.default_image())
    parser.add_argument("--checkpoint", type=Path, default=subjects.CHECKPOINT)
    parser.add_argument("--data", type=Path, help="folder with reviews; else they are invented")
    parser.add_argument("--seconds", type=float, default=2, help="for each kind of request")
    options = parser.parse_args(arguments)
    why = containers.missing(options.image)
    if why:
        raise SystemExit(why)
    print(measure(options))


def measure(options: argparse.Namespace) -> str:
    """The Markdown table; about five minutes with the defaults on two CPUs."""
    from tqdm import tqdm

    prepared = subjects.prepare(subjects.DEFAULT_MODEL, options.checkpoint, options.data)
    subject = prepared.ours
    setup = containers.ours(options.model or subject.folder)
    bodies = [body(subject.short), body(subject.long), body(*prepared.reviews)]
    sizes = containers.fitting()
    # Every count has its turn twice, so that a slow minute of the machine meets more than one.
    turns = [(size, count) for size in sizes for count in COUNTS * 2]
    cells: dict[tuple[int, int], Cell] = {}
    for turn in tqdm(turns, unit="container"):
        found = _cell(options.image, setup, *turn, bodies, options.seconds)
        cells[turn] = found.with_times_of(cells[turn]) if turn in cells else found
    return table([*cells.values()], [size for size in MEMORY_SIZES_MB if size not in sizes])


def _cell(
    image: str,
    setup: containers.Setup,
    memory: int,
    threads: int,
    bodies: Sequence[bytes],
    seconds: float,
) -> Cell:
    environment = {"CPU_THREADS": str(threads)}
    short, long, many = bodies
    with containers.running(image, setup, memory, environment) as running:
        running.wait(short)
        time.sleep(SETTLED_SECONDS)
        rule = "from model_handler import cpu; print(cpu.threads())"
        chosen = running.container.exec_run(["python3", "-c", rule]).output
        assert isinstance(chosen, bytes)  # an iterator only where one was asked for
        return Cell(
            memory,
            threads,
            int(chosen),
            _repeat(lambda: running.post(short), seconds, LEAST),
            _repeat(lambda: running.post(long), seconds, LEAST),
            _repeat(lambda: running.post(many), seconds, 1),
        )


def _repeat(post: Callable[[], float], seconds: float, least: int) -> list[float]:
    """Times of requests, for so many seconds and at least so often; one goes before them."""
    if least > 1:
        post()
    found: list[float] = []
    start = time.perf_counter()
    while len(found) < least or time.perf_counter() - start < seconds:
        found.append(post())
    return found


def table(cells: Sequence[Cell], skipped: Sequence[int]) -> str:
    """Markdown: a block for each memory size, the count of our rule in bold, then the verdicts."""
    lines = [f"| memory, MB | CPU share | threads | {' | '.join(NAMES)} |", "|---" * 6 + "|"]
    verdicts = []
    for memory in dict.fromkeys(cell.memory for cell in cells):
        block = [cell for cell in cells if cell.memory == memory]
        lines += [_line(cell) for cell in block]
        verdicts.append(_verdict(block))
    if skipped:
        listed = ", ".join(map(str, skipped))
        verdicts.append(f"- {listed} MB: skipped, their CPU shares are more than this machine has")
    return "\n".join([*lines, "", *verdicts])


def _line(cell: Cell) -> str:
    count = f"**{cell.threads}**" if cell.threads == cell.chosen else str(cell.threads)
    figures = [f"{_ms(cell.short)}", f"{_ms(cell.long)}"]
    figures.append(f"{subjects.REVIEWS / statistics.fmean(cell.many):.1f}")
    return f"| {cell.memory} | {vcpus(cell.memory):.2f} | {count} | {' | '.join(figures)} |"


def _ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.1f} / {statistics.fmean(seconds) * 1e3:.1f}"


def _verdict(block: Sequence[Cell]) -> str:
    """Whether the rule's count is as good as the best one for each of the three figures."""
    chosen = block[0].chosen
    head = f"- {block[0].memory} MB: the rule chooses {chosen}, "
    ours = next((cell for cell in block if cell.threads == chosen), None)
    if ours is None:
        return f"{head}which was not measured"
    best = [min(values) for values in zip(*(cell.means() for cell in block), strict=True)]
    slower = max(own / least for own, least in zip(ours.means(), best, strict=True))
    if slower == 1:
        return f"{head}the best for each figure"
    words = "within" if slower <= NEAR else "**not** within"
    return (
        f"{head}{words} 5 % of the best of each figure ({100 * (slower - 1):.0f} % slower at most)"
    )
