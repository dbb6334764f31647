"""Let moto's CloudWatch list metrics as AWS does."""

from __future__ import annotations

from typing import Any

from moto.cloudwatch.models import Dimension

from rehearse.moto_patches.names import replace


def patch_cloudwatch() -> None:
    """Let ListMetrics name a metric once.

    moto compares every dimension of one metric with every one of another, so two metrics of two
    dimensions are never the same to it, nor are two of none.
    """

    def same_dimensions(one: list[Dimension], other: list[Dimension]) -> bool:
        return sorted(map(pair, one)) == sorted(map(pair, other))

    def pair(dimension: Dimension) -> tuple[str, str]:
        return str(dimension.name), str(dimension.value)

    def wanted(metric: Any, *asked: Any, **named: Any) -> bool:
        """Return whether a metric is asked for, and not yet among those present."""
        for each in named.get("already_present_metrics") or ():
            same_name = (each.namespace, each.name) == (metric.namespace, metric.name)
            if same_name and not metric.dimensions and not each.dimensions:
                return False
        return bool(original(metric, *asked, **named))

    replace("moto.cloudwatch.models.are_dimensions_same", same_dimensions)
    original = replace("moto.cloudwatch.models.MetricDatumBase.filter", wanted)
