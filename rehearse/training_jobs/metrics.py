"""Read metrics out of the log lines of a training job.

https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence


def values(line: str, definitions: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, float]]:
    """Yield name and value of each metric in a line; MetricDefinitions have been checked."""
    for definition in definitions:
        for match in re.finditer(definition["Regex"], line):
            try:
                value = float(match[1])
            except (TypeError, ValueError):  # the group has matched nothing, or no number
                continue
            if math.isfinite(value):
                yield definition["Name"], value
