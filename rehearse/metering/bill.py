"""Add up what the endpoints of a rehearsal would cost: milliseconds, memory, data, hours, USD.

How it is charged: https://aws.amazon.com/sagemaker/pricing/ and
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rehearse.data_types import (
    InvocationMetrics,
    ProductionVariant,
    ServerlessConfig,
    VariantConfig,
)
from rehearse.metering.prices import MB_PER_GB, Prices

# Where `rehearse bill` asks a running rehearsal; no path of AWS's.
BILL_PATH = "/rehearse/bill"
# So many invocations are remembered one by one.
CHARGES = 10_000
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


@dataclass
class VariantUsage:
    """What one variant has used, and what that costs."""

    arn: str  # of the endpoint
    variant: str
    invocations: int = 0
    throttled: int = 0
    cold: int = 0
    billed_ms: int = 0
    gb_seconds: float = 0.0
    # Of provisioned concurrency, for as long as it is there.
    reserved_gb_seconds: float = 0.0
    reserved_usd: float = 0.0  # of usd
    instance_seconds: float = 0.0
    data_bytes: int = 0
    usd: float = 0.0
    # Types of instances of which no price is known.
    unpriced: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Charge:
    """What one invocation used, and what that costs; an instance is paid for by the hour."""

    arn: str  # of the endpoint
    variant: str
    status: int
    cold: bool
    memory_mb: int | None
    billed_ms: int
    data_bytes: int
    usd: float


@dataclass(frozen=True)
class TransformCharge:
    """What one transform job used, and what that costs; None where no price is known."""

    arn: str  # of the job
    instance_type: str
    instances: int
    seconds: float
    usd: float | None


class Bill:
    """The bill of a rehearsal, for any number of threads."""

    def __init__(self, prices: Prices, clock: Callable[[], float] = time.monotonic) -> None:
        self._prices = prices
        self._clock = clock
        self._lock = threading.Lock()
        # By ARN of the endpoint and name of the variant.
        self._usage: dict[tuple[str, str], VariantUsage] = {}
        self._charges: deque[Charge] = deque(maxlen=CHARGES)
        self._transforms: list[TransformCharge] = []
        # What is paid for by time, and since when.
        self._running: dict[tuple[str, str], tuple[VariantConfig, float]] = {}

    def add(
        self, arn: str, variant: str, config: VariantConfig, metrics: InvocationMetrics
    ) -> None:
        """Add one invocation."""
        with self._lock:
            usage = self._variant_usage((arn, variant))
            usage.throttled += metrics.throttled
            if metrics.throttled:
                return
            charge = self._charge(arn, variant, config, metrics)
            self._charges.append(charge)
            usage.invocations += 1
            usage.cold += metrics.cold
            usage.billed_ms += charge.billed_ms
            usage.gb_seconds += charge.billed_ms / 1e3 * (charge.memory_mb or 0) / MB_PER_GB
            usage.data_bytes += charge.data_bytes
            usage.usd += charge.usd

    def changed(self, arn: str, variants: Mapping[str, ProductionVariant]) -> None:
        """Take note that the endpoint runs these from now on; nothing, once it is deleted."""
        with self._lock:
            for key in [key for key in self._running if key[0] == arn]:
                self._add_time(key)
                del self._running[key]
            for name, variant in variants.items():
                self._running[arn, name] = (variant.config, self._clock())

    def add_transform(self, arn: str, resources: Mapping[str, Any], seconds: float) -> None:
        """Add a transform job, with the TransformResources that it asked for."""
        kind, count = resources["InstanceType"], resources["InstanceCount"]
        hour = self._prices.transform_hour.get(kind) or self._prices.instance_hour.get(kind)
        usd = None if hour is None else seconds * count * hour / 3600
        with self._lock:
            self._transforms.append(TransformCharge(arn, kind, count, seconds, usd))

    def usage(self) -> list[VariantUsage]:
        """Return what every variant there was has used until now."""
        with self._lock:
            for key in self._running:
                self._add_time(key)
            return list(self._usage.values())

    def charges(self) -> list[Charge]:
        """Return the last invocations, one by one."""
        with self._lock:
            return list(self._charges)

    def totals(self) -> dict[str, Any]:
        """Return what was used and what it costs, without the invocations one by one."""
        usage = [_row(each) for each in self.usage()]
        with self._lock:
            transforms = [asdict(each) for each in self._transforms]
        return {
            "prices": {"region": self._prices.region, "dated": self._prices.dated},
            "accounts": usage,
            "transform_jobs": transforms,
            "usd": sum(each["usd"] or 0.0 for each in (*usage, *transforms)),
        }

    def as_json(self) -> dict[str, Any]:
        """Return all of it, as `rehearse bill --json` prints it."""
        return {**self.totals(), "calls": [_row(each) for each in self.charges()]}

    def _charge(
        self, arn: str, variant: str, config: VariantConfig, metrics: InvocationMetrics
    ) -> Charge:
        prices, memory_mb, usd = self._prices, None, 0.0
        if isinstance(config, ServerlessConfig):
            memory_mb = config.memory_mb
            provisioned = config.provisioned_concurrency > 0 and not metrics.spilled
            usd = prices.inference(memory_mb, metrics.billed_ms, provisioned)
        data_bytes = metrics.bytes_in + metrics.bytes_out
        usd += prices.data(data_bytes)
        return Charge(
            arn,
            variant,
            metrics.status,
            metrics.cold,
            memory_mb,
            metrics.billed_ms,
            data_bytes,
            usd,
        )

    def _variant_usage(self, key: tuple[str, str]) -> VariantUsage:
        return self._usage.setdefault(key, VariantUsage(*key))

    def _add_time(self, key: tuple[str, str]) -> None:
        """Add the time that a variant has run since this was done last."""
        config, since = self._running[key]
        now = self._clock()
        self._running[key] = (config, now)
        usage, seconds = self._variant_usage(key), now - since
        if isinstance(config, ServerlessConfig):
            reserved = seconds * config.provisioned_concurrency * config.memory_mb / MB_PER_GB
            usage.reserved_gb_seconds += reserved
            usage.reserved_usd += reserved * self._prices.reserved_gb_second
            usage.usd += reserved * self._prices.reserved_gb_second
            return
        usage.instance_seconds += seconds * config.count
        hour = self._prices.instance_hour.get(config.instance_type)
        if hour is not None:
            usage.usd += seconds * config.count * hour / 3600
        elif config.instance_type not in usage.unpriced:
            usage.unpriced.append(config.instance_type)


def _row(item: VariantUsage | Charge) -> dict[str, Any]:
    """Return it as JSON takes it, with the name of the endpoint, which its ARN ends in."""
    return {**asdict(item), "endpoint": item.arn.rpartition("/")[2]}


def text(bill: Mapping[str, Any]) -> str:
    """Return a bill, as as_json() gives it, in a form for people."""
    lines = [LINE.format(**HEADS)]
    width = len(lines[0])
    unpriced = {each for row in bill["accounts"] for each in row["unpriced"]}
    for row in bill["accounts"]:
        lines.append(LINE.format(**{**row, "usd": f"{row['usd']:.8f}"}))
        if seconds := row["reserved_gb_seconds"]:
            what = f"  of which {seconds:.0f} GB-s of provisioned concurrency"
            lines.append(f"{what}{row['reserved_usd']:>{width - len(what)}.8f}")
    for job in bill["transform_jobs"]:
        name = job["arn"].rpartition("/")[2]
        what = f"{name}: {job['seconds']:.0f} s on {job['instances']} {job['instance_type']}"
        lines.append(f"{what}{job['usd'] or 0.0:>{max(width - len(what), 12)}.8f}")
        if job["usd"] is None:
            unpriced.add(job["instance_type"])
    lines.append(f"{bill['usd']:>{width}.8f}")
    prices = bill["prices"]
    lines.append(f"List prices of {prices['region']}, {prices['dated']}; see rehearse/prices.toml.")
    if unpriced:
        names = ", ".join(sorted(unpriced))
        lines.append(f"No price is known of {names}; its hours are not counted.")
    return "\n".join(lines)
