"""Filter patterns of CloudWatch Logs match as AWS's guide says.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json

import pytest

from rehearse.errors import FilterPatternError
from rehearse.metering.log_filter import compiled

EVENT = json.dumps(
    {
        "level": "error",
        "status": 424,
        "ms": 1.5,
        "cold": False,
        "code": None,
        "path": "/invocations?x",
        "stages": [{"name": "read"}, {"name": "score"}],
        "dotted.key": "yes",
    }
)


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.level = "error" }',
        "{$.level=error}",
        "{ $.level = err* }",
        "{ $.level = %^err% }",
        "{ $.level != warning }",
        "{ $.status >= 400 && $.status < 500 }",
        "{ $.status = 4* }",
        "{ ($.status = 200 || $.ms > 1) && $.cold IS FALSE }",
        "{ $.code IS NULL }",
        "{ $.other NOT EXISTS }",
        "{ $.stages[1].name = score }",
        "{ $.stages[*].name = read }",
        "{ $['dotted.key'] = yes }",
        '{ $.path = "/invocations?x" }',
    ],
)
def test_a_condition_holds(pattern: str) -> None:
    assert compiled(pattern)(EVENT)


@pytest.mark.parametrize(
    "pattern",
    [
        "{ $.level = warning }",
        "{ $.other = 1 }",
        "{ $.other != 1 }",
        "{ $.status > 424 }",
        "{ $.level > 1 }",
        "{ $.status NOT EXISTS }",
        "{ $.cold IS NULL }",
        "{ $.stages[2].name = read }",
        '{ $.path = "/invocations/x" }',
        "{ $.level = error && $.ms > 2 }",
    ],
)
def test_a_condition_does_not_hold(pattern: str) -> None:
    assert not compiled(pattern)(EVENT)


def test_a_condition_holds_for_no_line_that_is_not_json() -> None:
    assert not compiled("{ $.other NOT EXISTS }")("plain text")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("", True),
        ("ERROR", True),
        ("error", False),
        ("ERROR 401", True),
        ("ERROR 402", False),
        ('"BAD REQUEST"', True),
        ('"REQUEST BAD"', False),
        ("?NOTHING ?BAD", True),
        ("?NOTHING ?AT_ALL", False),
        ("ERROR -BAD", False),
        ("-GOOD", True),
        ("%4[0-9]{2}%", True),
    ],
)
def test_terms_match(pattern: str, matches: bool) -> None:
    assert compiled(pattern)("[ERROR 401] BAD REQUEST") is matches


@pytest.mark.parametrize(
    "pattern",
    [
        "{",
        "{}",
        "{ level = 1 }",
        "{ $.a }",
        "{ $.a = }",
        "{ ($.a = 1 }",
        "{ $.a = 1 $.b = 2 }",
        "{ $.a > b }",
        "{ $.a = %[% }",
        "[a, b]",
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(pattern: str) -> None:
    with pytest.raises(FilterPatternError) as caught:
        compiled(pattern)
    assert len(str(caught.value).splitlines()) == 1
