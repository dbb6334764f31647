"""Observations of calls in, what they would cost out: milliseconds, memory, USD.

How it is charged: https://aws.amazon.com/sagemaker/pricing/ and
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rehearse.metering.prices import Prices
from rehearse.model import Instance, Observation, Serverless

MB_PER_GB = 1024
BYTES_PER_GB = 1024**3
# So many calls are remembered one by one.
CHARGES = 10_000


@dataclass
class Account:
    """What one variant has used, and what that costs."""

    arn: str  # of the endpoint
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


@dataclass(frozen=True)
class Charge:
    """One call: what it used, and what that costs; an instance is paid for by the hour."""

    arn: str  # of the endpoint
    variant: str
    status: int
    cold: bool
    memory_mb: int | None
    billed_ms: int
    data_bytes: int
    usd: float


class Ledger:
    """The account of a rehearsal, for any number of threads."""

    def __init__(self, prices: Prices, clock: Callable[[], float] = time.monotonic) -> None:
        self.prices = prices
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[tuple[str, str], Account] = {}
        self._charges: deque[Charge] = deque(maxlen=CHARGES)
        # What is paid for by time, and since when.
        self._running: dict[tuple[str, str], tuple[Serverless | Instance, float]] = {}

    def add(self, arn: str, variant: str, spec: Serverless | Instance, seen: Observation) -> None:
        """One call."""
        with self._lock:
            account = self._account((arn, variant))
            account.throttled += seen.throttled
            if seen.throttled:
                return
            charge = self._charge(arn, variant, spec, seen)
            self._charges.append(charge)
            account.invocations += 1
            account.cold += seen.cold
            account.billed_ms += charge.billed_ms
            account.gb_seconds += charge.billed_ms / 1e3 * (charge.memory_mb or 0) / MB_PER_GB
            account.data_bytes += charge.data_bytes
            account.usd += charge.usd

    def runs(self, arn: str, variant: str, spec: Serverless | Instance | None) -> None:
        """From now on the variant is this; None once it is deleted."""
        with self._lock:
            key = (arn, variant)
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

    def charges(self) -> list[Charge]:
        """The last calls, one by one."""
        with self._lock:
            return list(self._charges)

    def _charge(
        self, arn: str, variant: str, spec: Serverless | Instance, seen: Observation
    ) -> Charge:
        prices, memory_mb, usd = self.prices, None, 0.0
        if isinstance(spec, Serverless):
            memory_mb = spec.memory_mb
            warm = spec.provisioned > 0 and not seen.spilled
            rate = prices.provisioned_gb_second if warm else prices.on_demand_gb_second
            usd = seen.billed_ms / 1e3 * memory_mb / MB_PER_GB * rate
        data_bytes = seen.bytes_in + seen.bytes_out
        usd += data_bytes / BYTES_PER_GB * prices.data_gb
        return Charge(
            arn,
            variant,
            seen.status,
            seen.cold,
            memory_mb,
            seen.billed_ms,
            data_bytes,
            usd,
        )

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
