"""Check what CloudWatch takes for metrics: a JSON schema, and what else it asks of a line.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import jsonschema

from tests.serve.logged import Line

_BASE = ("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None")
_LARGE = ("Kilo", "Mega", "Giga", "Tera")
_SIZES = ("Bytes", "Bits", *(f"{large}{kind}" for large in _LARGE for kind in ("bytes", "bits")))
UNITS = [*_BASE, *_SIZES, *(f"{unit}/Second" for unit in (*_SIZES, "Count"))]


def _name(most: int) -> dict[str, object]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _thing(**members: object) -> dict[str, object]:
    """Return the schema of an object with these members and no others."""
    return {"type": "object", "additionalProperties": False, "properties": members}


METRIC = {
    **_thing(Name=_name(1024), Unit={"enum": UNITS}, StorageResolution={"enum": [1, 60]}),
    "required": ["Name"],
}
DIRECTIVE = {
    **_thing(
        Namespace=_name(1024),
        Dimensions={
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "maxItems": 30, "items": _name(250)},
        },
        Metrics={"type": "array", "maxItems": 100, "items": METRIC},
    ),
    "required": ["Namespace", "Dimensions", "Metrics"],
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            **_thing(
                Timestamp={"type": "integer"},
                CloudWatchMetrics={"type": "array", "items": DIRECTIVE},
            ),
            "required": ["Timestamp", "CloudWatchMetrics"],
        }
    },
}


def check(line: Line) -> None:
    """Fail unless CloudWatch would make metrics of all that the line names."""
    jsonschema.Draft202012Validator(SCHEMA).validate(line)
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for metric in directive["Metrics"]:
            assert type(line[metric["Name"]]) in (int, float), metric
        for name in (name for names in directive["Dimensions"] for name in names):
            assert isinstance(line[name], str), name
            assert 0 < len(line[name]) <= 1024, name


def metrics(line: Line) -> dict[str, tuple[float, str]]:
    """Return values and units by name."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    return {each["Name"]: (line[each["Name"]], each["Unit"]) for each in directive["Metrics"]}


def dimensions(line: Line) -> dict[str, str]:
    """Return the dimensions of the metrics of a line."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    (names,) = directive["Dimensions"]
    return {name: line[name] for name in names}
