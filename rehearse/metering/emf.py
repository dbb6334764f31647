"""A log line in, the metrics that CloudWatch makes of it out: the embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any


def metrics(line: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Namespaces with their data points, as PutMetricData takes them; a line may just be a line."""
    if '"_aws"' not in line:
        return []
    try:
        members = json.loads(line)
        about = members["_aws"]
        when = datetime.fromtimestamp(about["Timestamp"] / 1000, UTC).replace(tzinfo=None)
        return [
            (str(directive["Namespace"]), list(_data(members, directive, when)))
            for directive in about["CloudWatchMetrics"]
        ]
    except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
        return []


def _data(
    members: Mapping[str, Any], directive: Mapping[str, Any], when: datetime
) -> Iterator[dict[str, Any]]:
    """One point for each value of each metric, under each set of dimensions."""
    for names in directive["Dimensions"]:
        dimensions = [{"Name": name, "Value": str(members[name])} for name in names]
        for metric in directive["Metrics"]:
            found = members[metric["Name"]]
            for value in map(float, found if isinstance(found, list) else [found]):
                if math.isfinite(value):
                    yield {
                        "MetricName": metric["Name"],
                        "Value": value,
                        "Unit": metric.get("Unit", "None"),
                        "Timestamp": when,
                        "Dimensions": dimensions,
                    }
