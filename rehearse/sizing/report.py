"""Write report.html: one page with charts, whose data also fit into the link to it."""

from __future__ import annotations

import base64
import json
import statistics
import zlib
from pathlib import Path
from typing import Any

from rehearse.sizing import table
from rehearse.sizing.comparison import Interval, SizeCosts, Sizing
from rehearse.sizing.measurement import Measured

TEMPLATE = Path(__file__).with_name("report.html")


def write(found: Sizing, path: Path) -> None:
    """Write the page."""
    data = json.dumps({"hash": packed(report_data(found))})
    page = TEMPLATE.read_text(encoding="utf-8").replace(">DATA<", f">{data}<")
    path.write_text(page, encoding="utf-8")


def packed(data: dict[str, Any]) -> str:
    """Pack data for a link: JSON, deflated (RFC 1951), in the Base64 of addresses."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = compressor.compress(json.dumps(data).encode()) + compressor.flush()
    return base64.urlsafe_b64encode(packed).decode()


def report_data(found: Sizing) -> dict[str, Any]:
    """Return what the page shows, with no more digits than it shows."""
    measured = {each.memory_mb: each for each in found.measured}
    chosen = found.recommendation
    (traffic,) = [each.traffic for each in found.costs if each.memory_mb == chosen.memory_mb]
    return {
        "image": found.image,
        "cpu": found.cpu,
        "cpu_factor": found.cpu_factor,
        "region": found.region,
        "dated": found.prices_dated,
        "sizes": [_size(each, measured[each.memory_mb]) for each in found.costs],
        "words": [*table.recommendation(found), *table.notes(found)],
        "timeline": [traffic.timeline, len(found.requests_by_minute)],
        "options": [[each.kind, each.usd_fixed, each.usd_each] for each in chosen.options],
        "requests": chosen.requests_a_month,
    }


def _size(costs: SizeCosts, measured: Measured) -> dict[str, Any]:
    return {
        "mb": costs.memory_mb,
        "setup": round(statistics.median(measured.setup_ms), 1),
        "first": round(statistics.median(measured.first_ms), 1),
        "p50": _interval(costs.p50_ms),
        "p95": _interval(costs.p95_ms),
        "p99": _interval(costs.p99_ms),
        "million": _interval(costs.usd_a_million),
        "month": round(costs.usd_a_month, 4),
        "peak": measured.peak_mb and round(measured.peak_mb),
        "max_concurrency": costs.traffic.max_concurrency,
        "throttled": costs.traffic.throttled,
    }


def _interval(figure: Interval) -> list[float]:
    return [round(value, 3) for value in (figure.value, figure.low, figure.high)]
