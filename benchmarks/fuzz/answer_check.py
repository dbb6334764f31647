"""Find out what is wrong with the answer to a request.

The rules are those of the README, written down a second time: nothing of the server is used here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence

from benchmarks.fuzz.cases import ATTRIBUTES, SECRET, TYPES, Case
from benchmarks.harness.client import Answer

LINE_TYPES = [name for name in TYPES["lines"] if name]
CODES: Mapping[int, Sequence[str]] = {
    400: ["bad_request"],
    406: ["not_acceptable"],
    413: ["payload_too_large", "too_many_records"],
    415: ["unsupported_media_type"],
    503: ["overloaded"],
}
# What InvokeEndpoint passes on of an error:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
LONGEST = 2048
LABELS = (-1, 0, 1)


def faults(case: Case, answer: Answer) -> list[str]:
    """Say everything that is wrong; nothing if the answer is as it should be."""
    found = []
    if SECRET.encode() in answer.body or SECRET in str(answer.headers):
        found.append("the answer quotes a text")
    try:
        if answer.status == 200:
            _check_answer(case, answer)
        elif answer.status in CODES:
            _check_error(case, answer)
        else:
            raise ValueError(f"status {answer.status}")
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        found.append(f"{error} ({type(error).__name__})")
    return found


def _check_error(case: Case, answer: Answer) -> None:
    _must(answer.headers["content-type"] == "application/json", "an error that is not JSON")
    _must(len(answer.body.decode()) <= LONGEST, "an error that is too long to be passed on")
    found = json.loads(answer.body)
    _must(set(found) - {"omitted"} == {"error", "code", "lines"}, f"keys {sorted(found)}")
    _must(found["code"] in CODES[answer.status], f"code {found['code']}")
    _must(bool(found["error"]), "an error without words")
    numbers = [line["line"] for line in found["lines"]]
    _must(all(set(line) == {"line", "error"} for line in found["lines"]), "odd lines")
    _must(numbers == sorted(set(numbers)), f"lines out of order: {numbers}")
    _must(not numbers or 1 <= numbers[0] <= numbers[-1] <= _last(case), f"no such line: {numbers}")
    _must(found.get("omitted", 1) > 0, "nothing omitted")
    if answer.status == 503:
        _must(int(answer.headers["retry-after"]) > 0, "no time to try again after")
    else:
        _must(case.records is None, f"refused, and nothing is wrong: {found['error']}")


def _check_answer(case: Case, answer: Answer) -> None:
    media_type = answer.headers["content-type"]
    if media_type == "text/csv":
        outcomes = [_row(row) for row in csv.reader(answer.body.decode().splitlines(), strict=True)]
    elif media_type in LINE_TYPES:
        _must(answer.body.endswith(b"\n"), "a last line that is not ended")
        outcomes = [json.loads(line) for line in answer.body[:-1].split(b"\n")]
    else:
        _must(media_type == "application/json", f"an answer of type {media_type}")
        whole = json.loads(answer.body)
        outcomes = whole if isinstance(whole, list) else [whole]
        _must(isinstance(whole, dict) == _single(case), "a list for one object, or the reverse")
    wanted = expected(case) if case.records is None else case.records
    _must(wanted in (None, len(outcomes)), f"{len(outcomes)} answers to {wanted} records")
    for outcome in outcomes:
        _check_outcome(case, outcome)


def _check_outcome(case: Case, outcome: Mapping[str, object]) -> None:
    if set(outcome) == {"error"}:
        _must("report" in case.headers.get(ATTRIBUTES, ""), "a bad line among answers, unasked")
        _must(case.records is None, f"a bad line, and nothing is wrong: {outcome['error']}")
        return
    _must(set(outcome) - {"scores"} == {"probability", "predicted_label"}, f"{sorted(outcome)}")
    probability, label = outcome["probability"], outcome["predicted_label"]
    _must(isinstance(probability, float) and 0 < probability <= 1, f"probability {probability}")
    _must(type(label) is int and label in LABELS, f"label {label!r}")
    scores = outcome.get("scores")
    if isinstance(scores, dict):
        _must(list(scores) == list(map(str, LABELS)), f"scores of {list(scores)}")
        _must(abs(sum(scores.values()) - 1) < 1e-3, f"scores that add up to {scores}")


def _row(row: Sequence[str]) -> dict[str, object]:
    """Return a row of CSV as the JSON object that it stands for."""
    if row[:2] == ["", ""] and len(row) == 3:
        return {"error": row[2]}
    _must(len(row) in (2, 2 + len(LABELS)), f"a row of {len(row)} columns")
    found: dict[str, object] = {"predicted_label": int(row[0]), "probability": float(row[1])}
    scores = dict(zip(map(str, LABELS), map(float, row[2:]), strict=False))
    return {**found, "scores": scores} if scores else found


def _must(holds: bool, words: str) -> None:
    if not holds:
        raise ValueError(words)


def _media_type(case: Case) -> str:
    return case.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def expected(case: Case) -> int | None:
    """Return the number of records in a body that was scored; None if this rule cannot tell."""
    if _media_type(case) != "application/json":
        lines = case.body.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        return len([line for line in lines if line.strip()])
    try:
        value = json.loads(case.body, parse_int=float)  # of any number of digits
    except (ValueError, RecursionError):
        return None
    return len(value) if isinstance(value, list) else 1


def _single(case: Case) -> bool:
    """Tell whether the answer in JSON is one value: a list answers a list, and lines."""
    first = case.body.removeprefix(b"\xef\xbb\xbf").strip()[:1]
    return _media_type(case) == "application/json" and first != b"["


def _last(case: Case) -> int:
    """Return the highest line number that there may be; in JSON, it may be a place in a list."""
    places = case.body.count(b",") if _media_type(case) == "application/json" else 0
    return max(places, case.body.count(b"\n")) + 1
