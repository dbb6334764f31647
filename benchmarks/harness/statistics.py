"""Seconds in, percentiles in milliseconds out: an HdrHistogram, https://hdrhistogram.org."""

from __future__ import annotations

# Microseconds, up to ten minutes, with three digits.
LEAST, MOST, DIGITS = 1, 600_000_000, 3
# Points of a curve from one half of what is left to the next: 50, 75, 87.5 % and so on.
TICKS = 5


class Latencies:
    """Counts latencies. Its owner is one thread."""

    def __init__(self) -> None:
        from hdrh.histogram import HdrHistogram

        self._histogram = HdrHistogram(LEAST, MOST, DIGITS)

    def add(self, seconds: float) -> None:
        """Count one."""
        self._histogram.record_value(min(MOST, max(LEAST, round(seconds * 1e6))))

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def at(self, percentile: float) -> float:
        """Milliseconds that so many per cent do not exceed; 100 gives the most."""
        return float(self._histogram.get_value_at_percentile(percentile)) / 1e3

    def curve(self) -> list[tuple[float, float]]:
        """Percentiles, ever nearer to 100, and their milliseconds."""
        points = self._histogram.get_percentile_iterator(TICKS)
        return [
            (point.percentile_level_iterated_to, point.value_iterated_to / 1e3) for point in points
        ]
