"""Reduce many measurements to a few figures: percentiles of latencies, growth by requests."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

# Microseconds, up to ten minutes, with three digits.
LEAST, MOST, DIGITS = 1, 600_000_000, 3
# Points of a curve from one half of what is left to the next: 50, 75, 87.5 % and so on.
TICKS = 5
PER_REQUESTS = 10_000


class Latencies:
    """An HdrHistogram of latencies, https://hdrhistogram.org. Its owner is one thread."""

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        from hdrh.histogram import HdrHistogram

        self._histogram = HdrHistogram(LEAST, MOST, DIGITS)
        for each in seconds:
            self.add(each)

    def add(self, seconds: float) -> None:
        """Count one."""
        self._histogram.record_value(min(MOST, max(LEAST, round(seconds * 1e6))))

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def at(self, percentile: float) -> float:
        """Return the milliseconds that so many per cent do not exceed; 100 gives the most."""
        return float(self._histogram.get_value_at_percentile(percentile)) / 1e3

    def curve(self) -> list[tuple[float, float]]:
        """Return percentiles, ever nearer to 100, and their milliseconds."""
        points = self._histogram.get_percentile_iterator(TICKS)
        return [
            (point.percentile_level_iterated_to, point.value_iterated_to / 1e3) for point in points
        ]


def slope(requests: Sequence[float], megabytes: Sequence[float]) -> float:
    """Return the MB of 10,000 requests, by least squares."""
    return statistics.linear_regression(requests, megabytes).slope * PER_REQUESTS
