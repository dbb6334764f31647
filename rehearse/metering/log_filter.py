"""Match log events with the filter patterns of CloudWatch Logs: terms, and conditions on JSON.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from rehearse.errors import FilterPatternError

# Whether an event has what a pattern asks for: its message, or its members where it is JSON.
MessageTest = Callable[[str], bool]
JsonTest = Callable[[Any], bool]

TERM = re.compile(r'([?-]?)("[^"]*"|%[^%]*%|[^\s"]+)')
TOKEN = re.compile(r'\|\||&&|[()]|[<>!]?=|[<>]|"[^"]*"|%[^%]*%|[^\s()<>=!&|"]+')
# A step of a selector such as $.variants[0].name or $.variants[*]['a.b']
STEP = re.compile(r"\[(\d+|\*)\]|\.?\['([^']+)'\]|\.([\w-]+)")
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
CONSTANTS = {"NULL": None, "TRUE": True, "FALSE": False}


def compiled(pattern: str) -> MessageTest:
    """Return what tells whether a message matches; raise FilterPatternError."""
    pattern = pattern.strip()
    if pattern.startswith("{"):
        if not pattern.endswith("}"):
            raise FilterPatternError("a condition on JSON ends with }")
        return _on_json(_Condition(pattern[1:-1]).parsed())
    if pattern.startswith("["):
        raise FilterPatternError("patterns of columns, [a, b], are not imitated by the rehearsal")
    return _on_text(pattern)


def _on_text(pattern: str) -> MessageTest:
    """Return a test of all terms but those with -, or any of those with ? if there are no others.

    Terms with ? are ignored beside others.
    """
    terms = [(found[1], _contains(found[2])) for found in TERM.finditer(pattern)]
    wanted = [test for sign, test in terms if not sign]
    excluded = [test for sign, test in terms if sign == "-"]
    optional = [test for sign, test in terms if sign == "?"] if not wanted + excluded else []

    def matches(message: str) -> bool:
        return (
            all(test(message) for test in wanted)
            and not any(test(message) for test in excluded)
            and (not optional or any(test(message) for test in optional))
        )

    return matches


def _contains(term: str) -> MessageTest:
    if term.startswith("%"):
        expression = _regex(term)
        return lambda message: expression.search(message) is not None
    word = term.strip('"')
    return lambda message: word in message


def _on_json(test: JsonTest) -> MessageTest:
    def matches(message: str) -> bool:
        try:
            members = json.loads(message)
        except ValueError:
            return False
        return test(members)

    return matches


class _Condition:
    """Parses what stands between { and }: comparisons joined by && and ||, with parentheses."""

    def __init__(self, text: str) -> None:
        self._tokens = TOKEN.findall(text)
        self._text = text

    def parsed(self) -> JsonTest:
        test = self._any()
        if self._tokens:
            raise self._error()
        return test

    def _any(self) -> JsonTest:
        tests = [self._all()]
        while self._taken("||"):
            tests.append(self._all())
        return lambda members: any(test(members) for test in tests)

    def _all(self) -> JsonTest:
        tests = [self._comparison()]
        while self._taken("&&"):
            tests.append(self._comparison())
        return lambda members: all(test(members) for test in tests)

    def _comparison(self) -> JsonTest:
        if self._taken("("):
            test = self._any()
            if not self._taken(")"):
                raise self._error()
            return test
        select = _selector(self._next())
        verb = self._next()
        if verb.upper() == "NOT" and self._next().upper() == "EXISTS":
            return lambda members: not list(select(members))
        if verb.upper() == "IS" and (constant := self._next().upper()) in CONSTANTS:
            return lambda members: any(each is CONSTANTS[constant] for each in select(members))
        if verb not in ("=", "!=", *ORDER):
            raise self._error()
        compare = _comparison(verb, self._next())
        return lambda members: any(map(compare, select(members)))

    def _taken(self, token: str) -> bool:
        if self._tokens[:1] == [token]:
            self._tokens.pop(0)
            return True
        return False

    def _next(self) -> str:
        if not self._tokens:
            raise self._error()
        return str(self._tokens.pop(0))

    def _error(self) -> FilterPatternError:
        return FilterPatternError(f"{{{self._text}}} is no condition; an example: {{ $.a = 1 }}")


def _selector(text: str) -> Callable[[Any], Iterator[Any]]:
    """Return what yields the values that a selector names; none where there are none."""
    steps = [found.groups() for found in STEP.finditer(text)]
    if not text.startswith("$") or STEP.sub("", text[1:]) or not steps:
        raise FilterPatternError(f"{text} is no selector; an example: $.variants[0].name")

    def select(members: Any, at: int = 0) -> Iterator[Any]:
        if at == len(steps):
            yield members
            return
        index, quoted, name = steps[at]
        if index and isinstance(members, list):
            for each in members if index == "*" else members[int(index) : int(index) + 1]:
                yield from select(each, at + 1)
        elif not index and isinstance(members, dict) and (key := quoted or name) in members:
            yield from select(members[key], at + 1)

    return select


def _comparison(verb: str, value: str) -> JsonTest:
    """Return a test of one value: numbers by size, all else by its text, in which * is any text."""
    number = _number(value)
    if verb in ORDER:
        if number is None:
            raise FilterPatternError(f"{verb} {value}: {verb} compares numbers")
        return lambda found: _is_number(found) and ORDER[verb](found, number)
    expression = _regex(value) if value.startswith("%") else None

    def equal(found: Any) -> bool:
        text = found if isinstance(found, str) else json.dumps(found)
        if expression:
            return expression.search(text) is not None
        if number is not None and _is_number(found):
            return bool(found == number)
        return fnmatchcase(text, value.strip('"').replace("[", "[[]").replace("?", "[?]"))

    return equal if verb == "=" else lambda found: not equal(found)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text.strip("%"))
    except re.error as error:
        raise FilterPatternError(f"{text} is no regular expression: {error}") from error
