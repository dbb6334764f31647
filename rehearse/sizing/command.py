"""Measure memory sizes and say which to deploy: `rehearse size`."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rehearse import container_engines, signals
from rehearse.data_plane.quotas import Quotas
from rehearse.data_types import ContainerDefinition
from rehearse.errors import CannotStart, InputError
from rehearse.forecast import options
from rehearse.forecast.profiles import Profile
from rehearse.metering.prices import Prices
from rehearse.sizing import comparison, measurement, report, requests, table
from rehearse.sizing.comparison import Sizing
from rehearse.sizing.measurement import Measured, Sandbox

INTERRUPTED = 130


def run(given: argparse.Namespace) -> int:
    """Measure, compare, write profile.json and report.html, and print what was found."""
    counts = options.read_trace(given.traffic, given.rate, given.days)
    records = requests.read(given.requests)
    prices = Prices.nearest(given.region, given.prices)
    _check(given)
    with signals.received() as received:
        engine = container_engines.open_engine(given.engine)
        definition = ContainerDefinition(given.image, given.model, {})
        closing = threading.Event()
        quotas = Quotas(freezes=given.freeze)
        sandboxes = [Sandbox(engine, definition, size, closing, quotas) for size in given.memory]

        def end() -> None:
            closing.set()
            engine.close()

        try:
            work = partial(_measure, sandboxes, records, given.starts, given.calls)
            measured = received.run(work, end)
        except KeyboardInterrupt:
            print("rehearse: interrupted; nothing is left running", file=sys.stderr)
            return INTERRUPTED
        finally:
            engine.close()
    profile = _profile(given, measured)
    profile.write(given.out / "profile.json")
    found = _compare(given, profile, measured, counts, prices)
    report.write(found, given.out / "report.html")
    print(json.dumps(as_json(found), indent=2) if given.json else table.text(found))
    return 0


def as_json(found: Sizing) -> dict[str, Any]:
    """Return it as `--json` prints it: without the single times, which are in profile.json."""
    everything = asdict(found)
    for row in everything["measured"]:
        for name in ("setup_ms", "first_ms", "warm_ms"):
            times = sorted(row.pop(name))
            row[f"median_{name}"] = round(times[len(times) // 2], 3) if times else None
    return everything


def _check(given: argparse.Namespace) -> None:
    """Raise InputError for folders that are not there, before anything is measured."""
    for folder in (given.out, given.model):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder} is no folder")
    if given.model is not None and given.engine == "docker":
        _check_readable(given.model)


def _check_readable(model: Path) -> None:
    """Raise InputError if the user of a container, who is another one, cannot read a model."""
    for path in (model, *model.rglob("*")):
        wanted = 0o5 if path.is_dir() else 0o4
        if path.exists() and path.stat().st_mode & wanted != wanted:
            raise InputError(f"{path} is not for every user to read; chmod -R a+rX {model}")


def _measure(
    sandboxes: Sequence[Sandbox], records: Sequence[bytes], starts: int, calls: int
) -> tuple[Measured, ...]:
    from tqdm import tqdm

    found = []
    total = len(sandboxes) * (starts + calls + len(measurement.BODIES))
    with tqdm(total=total, unit=" calls", leave=False, disable=None) as bar:
        for sandbox in sandboxes:
            bar.set_description(f"{sandbox.memory_mb} MB")
            found.append(measurement.measure(sandbox, records, starts, calls, bar.update))
    return tuple(found)


def _profile(given: argparse.Namespace, measured: Sequence[Measured]) -> Profile:
    """Return the profile of the sizes that answer; raises CannotStart if none does."""
    memory = {each.memory_mb: each.times for each in measured if each.times}
    if not memory:
        raise CannotStart(f"{given.image} answers at no memory size: {measured[-1].failure}")
    scaled = {size: comparison.scaled(times, given.cpu_factor) for size, times in memory.items()}
    return Profile(given.image, cpu_name(), max(each.bytes for each in measured), scaled)


def _compare(
    given: argparse.Namespace,
    profile: Profile,
    measured: Sequence[Measured],
    counts: Sequence[int],
    prices: Prices,
) -> Sizing:
    costs = tuple(comparison.costs(profile, size, counts, prices) for size in profile.memory)
    return Sizing(
        image=profile.image,
        cpu=profile.cpu,
        cpu_factor=given.cpu_factor,
        region=prices.region,
        prices_dated=prices.dated,
        requests_by_minute=tuple(counts),
        measured=tuple(measured),
        costs=costs,
        recommendation=comparison.recommend(costs, profile, counts, prices),
    )


def cpu_name() -> str:
    """Return the name of this machine's CPU, and whether it multiplies 8-bit numbers fast."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown CPU"
    fields = {name.strip(): value for name, _, value in (line.partition(": ") for line in lines)}
    vnni = "with" if "vnni" in fields.get("flags", "") else "without"
    return f"{fields.get('model name', 'unknown CPU')}, {vnni} VNNI"
