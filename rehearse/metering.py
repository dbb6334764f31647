"""Observations of calls in, what they would cost out: milliseconds, memory, USD.

How it is charged: https://aws.amazon.com/sagemaker/pricing/ and
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
"""

from __future__ import annotations

import math
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.model import Instance, Observation, Serverless

PRICES = Path(__file__).with_name("prices.toml")
MB_PER_GB = 1024
BYTES_PER_GB = 1024**3


class PricesError(Exception):
    """A file of prices cannot be used; the message says why, in one line."""


@dataclass(frozen=True)
class Prices:
    """USD, of one region at one date."""

    region: str
    dated: str
    on_demand_gb_second: float
    provisioned_gb_second: float
    reserved_gb_second: float
    data_gb: float
    instance_hour: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, region: str, path: Path = PRICES) -> Prices:
        """Those of a region; raises PricesError."""
        try:
            found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
            dated = str(found.pop("dated"))
            return cls(region=region, dated=dated, **found[region])
        except (OSError, ValueError) as error:
            raise PricesError(f"{path} cannot be read: {error}") from error
        except KeyError as error:
            regions = ", ".join(found) or "none"
            raise PricesError(f"{path} has no {error}; it knows {regions}") from error
        except TypeError as error:
            raise PricesError(f"{path} has not the prices it must have: {error}") from error


def billed(seconds: float, setup_ms: float = 0.0) -> int:
    """Milliseconds of a call, begun ones in full."""
    return max(math.ceil(seconds * 1e3 + setup_ms), 1)


@dataclass
class Account:
    """What one variant has used, and what that costs."""

    endpoint: str
    variant: str
    invocations: int = 0
    throttled: int = 0
    cold: int = 0
    billed_ms: int = 0
    gb_seconds: float = 0.0
    reserved_gb_seconds: float = 0.0
    instance_seconds: float = 0.0
    data_bytes: int = 0
    usd: float = 0.0
    # Kinds of instances that the prices do not know.
    unpriced: list[str] = field(default_factory=list)


class Ledger:
    """The account of a rehearsal, for any number of threads."""

    def __init__(self, prices: Prices, clock: Callable[[], float] = time.monotonic) -> None:
        self.prices = prices
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[tuple[str, str], Account] = {}
        # What is paid for by time, and since when.
        self._running: dict[tuple[str, str], tuple[Serverless | Instance, float]] = {}

    def add(
        self, endpoint: str, variant: str, spec: Serverless | Instance, seen: Observation
    ) -> None:
        """One call."""
        with self._lock:
            account = self._account((endpoint, variant))
            account.throttled += seen.throttled
            if seen.throttled:
                return
            account.invocations += 1
            account.cold += seen.cold
            account.billed_ms += seen.billed_ms
            account.data_bytes += seen.bytes_in + seen.bytes_out
            if isinstance(spec, Serverless):
                warm = spec.provisioned > 0 and not seen.spilled
                prices = self.prices
                rate = prices.provisioned_gb_second if warm else prices.on_demand_gb_second
                used = seen.billed_ms / 1e3 * spec.memory_mb / MB_PER_GB
                account.gb_seconds += used
                account.usd += used * rate
            data = (seen.bytes_in + seen.bytes_out) / BYTES_PER_GB
            account.usd += data * self.prices.data_gb

    def runs(self, endpoint: str, variant: str, spec: Serverless | Instance | None) -> None:
        """From now on the variant is this; None once it is deleted."""
        with self._lock:
            key = (endpoint, variant)
            self._settle(key)
            if spec is None:
                self._running.pop(key, None)
            else:
                self._running[key] = (spec, self._clock())

    def totals(self) -> list[Account]:
        """Every variant there was, with what runs until now."""
        with self._lock:
            for key in list(self._running):
                self._settle(key)
            return list(self._accounts.values())

    def _account(self, key: tuple[str, str]) -> Account:
        return self._accounts.setdefault(key, Account(*key))

    def _settle(self, key: tuple[str, str]) -> None:
        """Account for the time since the last time."""
        if key not in self._running:
            return
        spec, since = self._running[key]
        now = self._clock()
        self._running[key] = (spec, now)
        account, seconds = self._account(key), now - since
        if isinstance(spec, Serverless):
            reserved = seconds * spec.provisioned * spec.memory_mb / MB_PER_GB
            account.reserved_gb_seconds += reserved
            account.usd += reserved * self.prices.reserved_gb_second
            return
        account.instance_seconds += seconds * spec.count
        hour = self.prices.instance_hour.get(spec.kind)
        if hour is not None:
            account.usd += seconds * spec.count * hour / 3600
        elif spec.kind not in account.unpriced:
            account.unpriced.append(spec.kind)
