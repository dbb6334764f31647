"""What endpoints run and which calls they get in; the account of the rehearsal out.

How it is charged stands in ledger.py, at which prices in prices.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rehearse.errors import CloudError
from rehearse.metering.ledger import Account, Charge, Ledger
from rehearse.metering.prices import PRICES, Prices, PricesError, UnknownRegion
from rehearse.model import Instance, Observation, Serverless, Variant

# The prices of this region stand for regions of which none are known.
REFERENCE = "us-east-1"
LINE = (
    "{endpoint:32} {variant:12} {invocations:>8} {cold:>6} {throttled:>9} {billed_ms:>10} {usd:>12}"
)
HEADS = {
    "endpoint": "endpoint",
    "variant": "variant",
    "invocations": "calls",
    "cold": "cold",
    "throttled": "throttled",
    "billed_ms": "billed ms",
    "usd": "USD",
}


class Bill:
    """The account of one rehearsal."""

    def __init__(self, region: str, path: Path | None) -> None:
        self._ledger = Ledger(_prices(region, path or PRICES))
        self._running: dict[str, set[str]] = {}

    def add(self, arn: str, variant: str, spec: Serverless | Instance, seen: Observation) -> None:
        """One call of a variant."""
        self._ledger.add(arn, variant, spec, seen)

    def changed(self, arn: str, variants: Mapping[str, Variant]) -> None:
        """From now on the endpoint runs these."""
        for gone in self._running.pop(arn, set()) - set(variants):
            self._ledger.runs(arn, gone, None)
        for name, variant in variants.items():
            self._ledger.runs(arn, name, variant.spec)
        self._running[arn] = set(variants)

    def rows(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        accounts = [_row(each) for each in self._ledger.totals()]
        prices = self._ledger.prices
        return {
            "prices": {"region": prices.region, "dated": prices.dated},
            "accounts": accounts,
            "calls": [_row(each) for each in self._ledger.charges()],
            "usd": sum(each["usd"] for each in accounts),
        }


def text(bill: Mapping[str, Any]) -> str:
    """A bill as people read it."""
    lines = [LINE.format(**HEADS)]
    for account in bill["accounts"]:
        lines.append(LINE.format(**{**account, "usd": f"{account['usd']:.8f}"}))
    lines.append(f"{bill['usd']:>{len(lines[0])}.8f}")
    prices = bill["prices"]
    lines.append(f"List prices of {prices['region']}, {prices['dated']}; see rehearse/prices.toml.")
    unpriced = sorted({kind for each in bill["accounts"] for kind in each["unpriced"]})
    if unpriced:
        lines.append(f"No price is known of {', '.join(unpriced)}; its hours are not counted.")
    return "\n".join(lines)


def _prices(region: str, path: Path) -> Prices:
    try:
        try:
            return Prices.read(region, path)
        except UnknownRegion:
            return Prices.read(REFERENCE, path)
    except PricesError as error:
        raise CloudError(str(error)) from error


def _row(item: Account | Charge) -> dict[str, Any]:
    """As JSON takes it, and with the name of the endpoint, which its ARN ends in."""
    return {**asdict(item), "endpoint": item.arn.rpartition("/")[2]}
