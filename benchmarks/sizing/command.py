"""Run `rehearse size` on three containers under the same traffic, and compare: SIZES.md."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import containers, pages, screenshot, subjects, texts
from benchmarks.harness.client import body
from benchmarks.harness.results import Benchmark, Results
from benchmarks.harness.servers import PLAIN, ROOT

PLAIN_IMAGE = "plain-container"
SUBJECTS = {
    "plain": "the plain container, RoBERTa-base-shaped",
    "packed": "this container, RoBERTa-base-shaped, packed",
    "bundled": "this container, the bundled model",
}
REVIEWS = 500  # invented ones, if none are given
WAYS = ("serverless", "provisioned", "instance")
tell = partial(print, file=sys.stderr, flush=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--image", default=containers.default_image("slim"), help="this container")
    add("--base", default=containers.default_image("full"), help="the plain container's packages")
    add("--model", type=Path, default=subjects.DEFAULT_MODEL, help="the bundled model")
    add("--checkpoint", type=Path, default=subjects.CHECKPOINT, help="made if it is not there")
    add("--requests", type=Path, help="JSON Lines to send; else reviews are invented")
    add("--memory", default="1024,2048,4096", help="memory sizes (%(default)s)")
    add("--traffic", default="bursts", help="as of `rehearse size` (%(default)s)")
    add("--rate", default="1", help="requests a minute on average (%(default)s)")
    add("--starts", default="3", help="cold starts of each size (%(default)s)")
    add("--calls", default="60", help="warm requests of each size (%(default)s)")
    add("--screenshot", type=Path, help="also draw the bundled model's report.html, as PNG")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Measure the three, one after the other; raises SystemExit if one cannot be measured."""
    import docker

    made = subjects.prepare(options.model, options.checkpoint, None)
    docker.from_env().images.build(
        path=str(PLAIN), buildargs={"BASE": options.base}, tag=PLAIN_IMAGE, rm=True
    )
    what = {
        "plain": (PLAIN_IMAGE, made.plain.folder),
        "packed": (options.image, made.ours.folder),
        "bundled": (options.image, options.model),
    }
    with tempfile.TemporaryDirectory() as folder:
        lines = options.requests or Path(folder) / "reviews.jsonl"
        if not options.requests:
            lines.write_bytes(b"".join(body(each) for each in texts.invented(REVIEWS)))
        for who, (image, model) in what.items():
            tell(SUBJECTS[who])
            out = Path(folder) / who
            out.mkdir()
            add(found, who, size(options, lines, image, model, out))
        if options.screenshot:
            report = Path(folder) / "bundled" / "report.html"
            screenshot.take(lambda path: shutil.copy(report, path), options.screenshot)
    found.facts["traffic"] = f"{options.traffic}, {options.rate} requests a minute on average"
    found.facts["image"] = containers.named(options.image)


def size(
    options: argparse.Namespace, lines: Path, image: str, model: Path, out: Path
) -> dict[str, Any]:
    """Run the command as a user does, and return what it prints as JSON."""
    named = {"--requests": lines, "--image": image, "--model": model.resolve(), "--out": out}
    same = ("memory", "traffic", "rate", "starts", "calls")
    words = [str(word) for pair in named.items() for word in pair]
    words += [word for name in same for word in (f"--{name}", getattr(options, name))]
    command = [sys.executable, "-m", "rehearse", "size", *words, "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"`rehearse size` of {image} failed")
    sizing: dict[str, Any] = json.loads(done.stdout)
    return sizing


def add(found: Results, who: str, sizing: dict[str, Any]) -> None:
    """Add the recommended size, how it does, and what each way to deploy costs."""
    chosen = sizing["recommendation"]
    (costs,) = (each for each in sizing["costs"] if each["memory_mb"] == chosen["memory_mb"])
    (times,) = (each for each in sizing["measured"] if each["memory_mb"] == chosen["memory_mb"])
    found.add(
        who,
        {
            "memory": chosen["memory_mb"],
            "most": chosen["max_concurrency"],
            "cold": (times["median_setup_ms"] + times["median_first_ms"]) / 1e3,
            "p50": costs["p50_ms"]["value"],
            "p99": costs["p99_ms"]["value"],
            "a million": costs["usd_a_million"]["value"],
            "break even": chosen["break_even_requests"],
            **{option["kind"]: option["usd_a_month"] for option in chosen["options"]},
        },
    )
    small = [
        f"{each['memory_mb']} MB: {each['failure']}"
        for each in sizing["measured"]
        if not each["largest"]
    ]
    found.say(who, {"recommended": chosen["kind"], "too small": "; ".join(small) or "none"})


def page(results: Results) -> str:
    """Write the page."""
    figures = {
        "memory size, MB": ("memory", 0),
        "MaxConcurrency": ("most", 0),
        "cold start, s": ("cold", 2),
        "p50, ms": ("p50", 1),
        "p99, ms": ("p99", 1),
        "USD a million requests": ("a million", 2),
        **{f"USD a month, {way}": (way, 2) for way in WAYS},
        "an instance costs less from, requests a month": ("break even", 0),
    }

    def words(what: str) -> list[str]:
        return [results.words[what][who] for who in SUBJECTS]

    heads = ["", *SUBJECTS.values()]
    lines = [
        ["recommended", *words("recommended")],
        *(
            [title, *(f"{results.of(what, who)[0]:,.{digits}f}" for who in SUBJECTS)]
            for title, (what, digits) in figures.items()
        ),
        ["sizes that answer nothing", *words("too small")],
    ]
    return f"""# What `rehearse size` recommends

    {results.command}

Measured locally: {pages.machine(results)}. Each container was measured by `rehearse size` in the
sandbox at each memory size, with the same requests; the traffic and the list prices are the same.
Times are those of the recommended memory size.

{pages.table(heads, lines)}

{pages.facts(results)}
"""


BENCHMARK = Benchmark(
    "sizing",
    "Say what to deploy for three containers under the same traffic.",
    Path(__file__).with_name("SIZES.md"),
    add_options,
    measure,
    page,
)
main = BENCHMARK.run
