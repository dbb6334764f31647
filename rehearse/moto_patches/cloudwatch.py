"""Let moto's CloudWatch list metrics as AWS does, and compute percentiles and metric math."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError
from moto.cloudwatch.models import Dimension
from moto.core.responses import ActionResult

from rehearse.errors import ExpressionError
from rehearse.moto_patches.names import replace

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
STATISTICS = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")

Series = dict[datetime, float]
# Expressions, and the series of metrics, by id; returns the series of the expressions.
Evaluate = Callable[[Mapping[str, str], Mapping[str, Series]], dict[str, Series]]


def patch_cloudwatch(evaluate: Evaluate) -> None:
    """Change moto's CloudWatch; `evaluate` raises ExpressionError for what it cannot compute."""
    _name_metrics_once()
    _compute_percentiles()
    _compute_expressions(evaluate)


def _name_metrics_once() -> None:
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


def _compute_percentiles() -> None:
    """Compute p50, p99.9 and the like, of the values that were put one by one.

    How CloudWatch interpolates between two values is not published.
    """

    def statistic(statistics: Any, name: str) -> Any:
        found = PERCENTILE.fullmatch(name)
        if found is None:
            return computed(statistics, name)
        import numpy as np

        values = statistics.metric_single_values_list
        return float(np.percentile(values, float(found[1]))) if values else None

    def get_metric_statistics(response: Any) -> ActionResult:
        names = response._get_param("ExtendedStatistics") or []
        for name in names:
            if not PERCENTILE.fullmatch(name):
                raise InvalidParameterValue(
                    f"The rehearsal computes percentiles, such as p99; not {name}."
                )
        answer: ActionResult = answered(response)
        result: Any = answer.result
        for point in result["Datapoints"]:
            extended = {name: point.get_statistics_for_type(name) for name in names}
            point.extended_statistics = {
                name: value for name, value in extended.items() if value is not None
            }
        return answer

    computed = replace("moto.cloudwatch.models.Statistics.get_statistics_for_type", statistic)
    answered = replace(
        "moto.cloudwatch.responses.CloudWatchResponse.get_metric_statistics", get_metric_statistics
    )


def _compute_expressions(evaluate: Evaluate) -> None:
    """Let GetMetricData compute expressions, and refuse statistics that moto does not know."""

    def get_metric_data(
        backend: Any, queries: list[dict[str, Any]], start_time: Any, end_time: Any, scan_by: str
    ) -> list[dict[str, Any]]:
        expressions = {}
        for query in queries:
            stat = query.get("MetricStat", {}).get("Stat", "Sum")
            if stat not in STATISTICS and not PERCENTILE.fullmatch(stat):
                raise ValidationError(
                    f"The rehearsal computes {', '.join(STATISTICS)} and percentiles; not {stat}."
                )
            # Queries of Metrics Insights, SELECT ..., are moto's.
            if not query.get("Expression", "SELECT").startswith("SELECT"):
                expressions[query["Id"]] = query["Expression"]
        others = [{**each, "ReturnData": True} for each in queries if each["Id"] not in expressions]
        found = {
            each["id"]: each
            for each in computed(backend, others, start_time, end_time, "TimestampAscending")
        }
        try:
            series = evaluate(expressions, {name: _series(each) for name, each in found.items()})
        except ExpressionError as error:
            raise ValidationError(f"Error in expression: {error}") from error
        for query in queries:
            if (name := query["Id"]) in expressions:
                found[name] = {"id": name, "label": query.get("Label") or name}
        answers = []
        for query in (each for each in queries if each.get("ReturnData", True)):
            answer = found[query["Id"]]
            points = series.get(query["Id"], _series(answer))
            times = sorted(points, reverse=scan_by == "TimestampDescending")
            values = [points[each] for each in times]
            answers.append(
                {**answer, "timestamps": times, "values": values, "status_code": "Complete"}
            )
        return answers

    computed = replace("moto.cloudwatch.models.CloudWatchBackend.get_metric_data", get_metric_data)


def _series(answer: Mapping[str, Any]) -> Series:
    """Return what moto has computed of one metric; a percentile of no value is no point."""
    points = zip(answer.get("timestamps", ()), answer.get("values", ()), strict=True)
    return {time: float(value) for time, value in points if value is not None}
