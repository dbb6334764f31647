"""Measure a model and its smaller forms, their answers and their costs: COMPRESSION.md."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.compare import measurements
from benchmarks.harness import machine, pages, screenshot, subjects, texts
from benchmarks.harness.results import Benchmark, Results

if TYPE_CHECKING:
    from compress.table import Row

# What is kept of the comparison, and of a start and the requests behind it.
QUALITY = ("parameters", "megabytes", "multiplications", "macro_f1", "worst_recall", "ece")
P50 = f"p50_{subjects.SHORT}"
SERVED = ("cold", P50, "reviews", "rss")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("models", type=Path, nargs="*", help="folders; the first is the source")
    parser.add_argument("--data", type=Path, help=f"folder with {texts.REVIEWS}")
    parser.add_argument("--runs", type=int, default=5, help="starts of each server (default 5)")
    parser.add_argument("--requests", type=int, default=100, help="single records a start")
    parser.add_argument("--cpu", type=int, default=0, help="the one CPU of a server (default 0)")
    parser.add_argument("--screenshot", type=Path, help="also draw report.html, as PNG")


def measure(options: argparse.Namespace, found: Results) -> None:
    """Compare the answers of all models, and then start a server of each by turns."""
    from tqdm import tqdm

    from compress import compare, page

    if not options.models or options.data is None:
        raise SystemExit("name the folders of models, and with --data that of the reviews")
    others = machine.OtherWork()
    models = [model.resolve() for model in options.models]
    data = compare.open_data(models, options.data / texts.REVIEWS, labelled=True)
    rows, about = compare.compare(models, data, pairs=False, say=_say)
    for model, row in zip(models, rows, strict=True):
        _keep(model, row, found)
    found.facts["texts"] = f"{data.rows:,} of {about.found['file']}"
    found.facts["sha256 of the texts"] = about.found["sha256"]
    if options.screenshot:
        screenshot.take(lambda path: page.write(path, rows, about), options.screenshot)
    asked = {row.name: subjects.served(model) for model, row in zip(models, rows, strict=True)}
    reviews = _reviews(options.data, models[0])
    turns = [(name, turn) for turn in range(options.runs) for name in asked]
    for name, _ in tqdm(turns, unit="start", disable=not sys.stderr.isatty()):
        served = measurements.warm(asked[name], options.cpu, options.requests, reviews, b"")
        found.add(name, {what: served[what] for what in SERVED})
    found.facts["counts"] = f"{options.runs} starts, {options.requests} single records each"
    found.facts["other work"] = others.words()


def _say(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


def _keep(model: Path, row: Row, found: Results) -> None:
    """Keep what the comparison says of a model, and the steps that it was made by."""
    figures = row.figures
    low, high = figures["macro_f1_interval"]
    found.add(row.name, {name: figures[name] for name in QUALITY})
    found.add(row.name, {"macro_f1_low": low, "macro_f1_high": high})
    found.add(row.name, {"agreement": figures.get("agreement", 1.0)})  # the first, with itself
    change = figures.get("macro_f1_change_interval", (0.0, 0.0))
    found.add(row.name, {"change_low": change[0], "change_high": change[1]})
    found.say(row.name, {"made by": "; then ".join(map(_described, _steps(model))) or "not known"})


def _steps(model: Path) -> Sequence[Mapping[str, Any]]:
    """Read the chain of a packed model or of a checkpoint."""
    for name, key in (("manifest.json", "chain"), ("chain.json", "steps")):
        if (model / name).exists():
            found: Sequence[Mapping[str, Any]] = json.loads((model / name).read_bytes()).get(
                key, ()
            )
            return found
    return ()


def _described(step: Mapping[str, Any]) -> str:
    """Write a step with its settings; what is not set is left out."""
    chosen = {name: value for name, value in step["settings"].items() if value not in (None, False)}
    words = ", ".join(f"{name} {value}" for name, value in chosen.items())
    source = step["source"]
    of = f"{step['step']} of {source['name']} (sha256 {source['sha256'][:12]})"
    return f"{of}: {words}" if words else of


def _reviews(data: Path, model: Path) -> list[str]:
    from model_handler import Handler

    loaded = Handler(model).load()
    return texts.reviews(data, loaded.tokenizer, loaded.max_length, subjects.REVIEWS)


def page(results: Results) -> str:
    """Write the page."""
    return f"""# Smaller models

{pages.commands(results)}

{pages.sections(results, _section)}
"""


def _section(results: Results) -> str:
    """Write the figures of one kind of CPU."""
    names = list(results.words["made by"])
    first, *_ = names
    lines = [[name, *_cells(results, name, first)] for name in names]
    steps = "\n".join(f"- {name}: {results.words['made by'][name]}" for name in names)
    return f"""Measured locally. Other work on the machine meanwhile: {results.facts["other work"]}.

{pages.table(HEADS, lines)}

- **multiplications**: for each token of a text of 16, counted as they are done.
- **macro-F1, worst recall, ECE**: on {results.facts["texts"]}; the interval holds 95 % of 2,000
  resamples of the texts, ECE has 15 bins.
- **change**: of macro-F1 against {first}, and its interval by a paired bootstrap.
- **p50**: one record of 16 tokens, over HTTP, on one CPU; **records/s**: {subjects.REVIEWS} reviews
  in one body; behind them, how many times as fast as {first}.
- **cold start**: from exec of the server to its first correct answer, with its files in the page
  cache; **peak RSS**: all processes of the server, with {subjects.REVIEWS} reviews scored.

How the models were made:

{steps}

{pages.facts(results)}"""


HEADS = (
    "model",
    "parameters",
    "MB",
    "multiplications a token",
    "same answers",
    "macro-F1",
    "change",
    "worst recall",
    "ECE",
    "p50, ms",
    "records/s",
    "cold start, s",
    "peak RSS, MB",
)


def _cells(results: Results, name: str, first: str) -> list[str]:
    """Write the figures of a model; those of time also as ratios to the first model."""

    def one(what: str, who: str = name) -> float:
        return statistics.median(results.of(what, who))

    def ratio(what: str, more: bool = False) -> str:
        if name == first:
            return ""
        by = one(what) / one(what, first)
        return f" ({by if more else 1 / by:.1f}x)"

    change = one("macro_f1") - one("macro_f1", first)
    interval = f"{one('change_low'):+.4f} to {one('change_high'):+.4f}"
    return [
        f"{one('parameters'):,.0f}",
        f"{one('megabytes'):.1f}",
        f"{one('multiplications'):,.0f}",
        f"{one('agreement'):.2%}",
        f"{one('macro_f1'):.4f} ({one('macro_f1_low'):.4f}-{one('macro_f1_high'):.4f})",
        "" if name == first else f"{change:+.4f} ({interval})",
        f"{one('worst_recall'):.4f}",
        f"{one('ece'):.4f}",
        pages.spread(results.of(P50, name), 1) + ratio(P50),
        pages.spread(results.of("reviews", name), 1) + ratio("reviews", more=True),
        pages.spread(results.of("cold", name), 2) + ratio("cold"),
        pages.spread(results.of("rss", name), 0),
    ]


BENCHMARK = Benchmark(
    "compression",
    "Measure a model and its smaller forms.",
    Path(__file__).with_name("COMPRESSION.md"),
    add_options,
    measure,
    page,
    by_kind=True,
)
main = BENCHMARK.run
