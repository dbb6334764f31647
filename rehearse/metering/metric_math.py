"""Compute expressions of metric math, such as 100 * errors / calls, from series of metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
Its syntax is that of Python but for ^, so Python's parser reads it; nothing is executed.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from rehearse.errors import ExpressionError

# Values by their time.
Series = dict[datetime, float]
Value = float | Series | list[Series]

BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], float]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
EACH: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
ALL: dict[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
    "MIN": min,
    "MAX": max,
}


def evaluate(expressions: Mapping[str, str], metrics: Mapping[str, Series]) -> dict[str, Series]:
    """Return the series of every expression by its id; each may name metrics and the others.

    Raises ExpressionError.
    """
    calculation = _Calculation(expressions, metrics)
    return {name: calculation.series(name) for name in expressions}


class _Calculation:
    """Computes the expressions of one request, each once."""

    def __init__(self, expressions: Mapping[str, str], metrics: Mapping[str, Series]) -> None:
        self._expressions, self._metrics = expressions, metrics
        self._done: dict[str, Value] = dict(metrics)
        self._under_way: set[str] = set()
        self._functions: dict[str, Callable[..., Value]] = {
            "METRICS": self._all_metrics,
            "FILL": self._fill,
            "IF": _choose,
            **{name: lambda of, each=each: _apply(each, of) for name, each in EACH.items()},
            **{name: lambda of, total=total: _aggregate(total, of) for name, total in ALL.items()},
        }

    def series(self, name: str) -> Series:
        found = self._named(name)
        if not isinstance(found, dict):
            raise ExpressionError(f"{self._expressions[name]} is no time series")
        return found

    def _named(self, name: str) -> Value:
        if name in self._done:
            return self._done[name]
        if name not in self._expressions or name in self._under_way:
            raise ExpressionError(f"{name} names no metric or expression of the request")
        self._under_way.add(name)
        text = self._expressions[name]
        try:
            tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
        except (SyntaxError, ValueError, RecursionError) as error:
            raise ExpressionError(f"{text} is no expression of metric math") from error
        self._done[name] = self._value(tree.body)
        return self._done[name]

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self._named(name)
            case ast.List(elts=parts):
                return [each for each in map(self._value, parts) if isinstance(each, dict)]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _apply(operator.neg, self._value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return _apply(BINARY[type(op)], self._value(left), self._value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
                return _apply(COMPARISONS[type(op)], self._value(left), self._value(right))
            case ast.Call(func=ast.Name(id=name), args=given) if name in self._functions:
                try:
                    return self._functions[name](*map(self._argument, given))
                except TypeError as error:
                    raise ExpressionError(f"{ast.unparse(node)}: wrong arguments") from error
        raise ExpressionError(f"{ast.unparse(node)} is not imitated by the rehearsal")

    def _argument(self, node: ast.expr) -> Any:
        """Return a value, or the text that METRICS and FILL take."""
        match node:
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id="REPEAT"):
                return "REPEAT"
        return self._value(node)

    def _all_metrics(self, part: str = "") -> list[Series]:
        """Return the series of metrics, not of expressions, with this in their id."""
        return [found for name, found in self._metrics.items() if part in name]

    def _fill(self, series: Series, filling: float | str) -> Series:
        """Return a series with a value at every time at which any metric has one."""
        filled: Series = {}
        last: float | None = None
        for time in sorted({each for found in self._metrics.values() for each in found}):
            last = series.get(time, last if filling == "REPEAT" else float(filling))
            if last is not None:
                filled[time] = last
        return filled


def _apply(compute: Callable[..., float], *values: Value) -> Value:
    """Compute with numbers, or at each time that all series have; a list is taken apart."""
    if lists := [each for each in values if isinstance(each, list)]:
        if len(lists) > 1:
            raise ExpressionError("an operator takes one array of time series, not two")
        found = [
            _apply(compute, *(part if each is lists[0] else each for each in values))
            for part in lists[0]
        ]
        return [each for each in found if isinstance(each, dict)]
    series = [each for each in values if isinstance(each, dict)]
    if not series:
        number = _computed(compute, values)
        return math.nan if number is None else number
    result: Series = {}
    for time in sorted(set(series[0]).intersection(*series[1:])):
        at = [each[time] if isinstance(each, dict) else each for each in values]
        if (number := _computed(compute, at)) is not None:
            result[time] = number
    return result


def _computed(compute: Callable[..., float], given: Iterable[Any]) -> float | None:
    """Return the result, or None where there is none: the divisor is 0, for instance."""
    try:
        number = float(compute(*given))
    except (ArithmeticError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _aggregate(total: Callable[[list[float]], float], of: Value) -> Value:
    """Return one number for one series, and one series for several."""
    if isinstance(of, dict):
        return total(list(of.values())) if of else math.nan
    if not isinstance(of, list):
        return of
    times = sorted({time for series in of for time in series})
    return {time: total([series[time] for series in of if time in series]) for time in times}


def _choose(condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    """Return one value or the other, by a condition that is a number or a series."""
    if not isinstance(condition, dict):
        chosen = then if condition else otherwise
        return {} if chosen is None else chosen
    result: Series = {}
    for time, holds in condition.items():
        chosen = then if holds else otherwise
        number = chosen.get(time) if isinstance(chosen, dict) else chosen
        if isinstance(number, int | float):
            result[time] = float(number)
    return result
