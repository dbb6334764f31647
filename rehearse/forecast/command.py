"""Forecast a trace with a profile: `rehearse forecast`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rehearse.forecast import options, profiles
from rehearse.forecast.forecast import forecast
from rehearse.metering.prices import Prices

VALIDATION = Path(__file__).with_name("validation.json")


def run(given: argparse.Namespace) -> int:
    """Print the forecast, and how far forecasts have been off."""
    counts = options.read_trace(given.trace, given.rate, given.days)
    path = profiles.EXAMPLE if given.profile == "example" else Path(given.profile)
    profile = profiles.read(path)
    prices = Prices.nearest(given.region, given.prices)
    memory_mb = given.memory or profile.smallest
    found = forecast(counts, profile, memory_mb, given.max_concurrency, given.idle_seconds, prices)
    validation = json.loads(VALIDATION.read_text(encoding="utf-8"))
    if given.json:
        about = {"profile": profile.image, "cpu": profile.cpu, "validation": validation}
        print(json.dumps(asdict(found) | about, indent=2))
        return 0
    print(found)
    print(
        f"Times are those of {profile.image} on {profile.cpu}, prices those of {prices.region}, "
        f"{prices.dated}.\n{_validated(**validation)}"
    )
    return 0


def _validated(waiting: dict[str, Any], bundled: dict[str, Any]) -> str:
    """Say how far forecasts of two containers have been off rehearsals."""
    return (
        f"Against {waiting['runs']} rehearsals of a container that only waits, forecasts were off "
        f"by at most {_words(waiting)}.\nWith the bundled model it was {_words(bundled)}: for more "
        f"than two of its containers and their client the machine, {bundled['cpu']}, was too small."
    )


def _words(errors: dict[str, Any]) -> str:
    p50, throttled = errors["p50_error"], errors["throttled_error"]
    return f"{p50:.0%} for p50 and {throttled:.0%} for throttled requests"
