"""Metric math computes what AWS's guide says.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

from datetime import datetime

import pytest

from rehearse.errors import ExpressionError
from rehearse.metering.metric_math import Series, evaluate

FIRST, SECOND, THIRD = (datetime(2026, 1, 1, 0, minute) for minute in (0, 1, 2))
A: Series = {FIRST: 1.0, SECOND: 2.0, THIRD: 4.0}
B: Series = {FIRST: 2.0, THIRD: 0.0}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("a", [1, 2, 4]),
        ("a*2", [2, 4, 8]),
        ("a ^ 2 + 1", [2, 5, 17]),
        ("100 * a / (a + b)", [pytest.approx(100 / 3), 100]),
        ("a / b", [0.5]),
        ("a / SUM(a)", [1 / 7, 2 / 7, 4 / 7]),
        ("SUM([a, b])", [3, 2, 4]),
        ("MAX(METRICS())", [2, 2, 4]),
        ("AVG(METRICS()) * 2", [3, 4, 4]),
        ('SUM(METRICS("b"))', [2, 0]),
        ("FILL(b, 7)", [2, 7, 0]),
        ("FILL(b, REPEAT)", [2, 2, 0]),
        ("IF(a > 1, a, 0)", [0, 2, 4]),
        ("IF(a >= 2, a)", [2, 4]),
        ("CEIL(a / 3)", [1, 1, 2]),
        ("sum_of_both + 1", [4, 3, 5]),
    ],
)
def test_an_expression_has_these_values(expression: str, values: list[float]) -> None:
    expressions = {"e": expression, "sum_of_both": "SUM([a, b])"}
    found = evaluate(expressions, {"a": A, "b": B})["e"]
    assert [found[time] for time in sorted(found)] == values


@pytest.mark.parametrize(
    "expression",
    [
        "a +",
        "c",
        "e",
        "1 + 1",
        "SUM(a)",
        "ANOMALY_DETECTION_BAND(a, 2)",
        "a.b",
        "a and b",
        "FILL(a)",
        "METRICS() + METRICS()",
        "__import__('os')",
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_line(expression: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate({"e": expression}, {"a": A, "b": B})
    assert len(str(caught.value).splitlines()) == 1


def test_a_metric_without_data_has_no_values() -> None:
    assert evaluate({"e": "100 * a / (a + b)"}, {"a": {}, "b": {}})["e"] == {}
