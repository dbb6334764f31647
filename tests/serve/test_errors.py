"""The error tree and its table of statuses."""

from __future__ import annotations

import json

from serve import errors


def test_every_error_has_a_status_and_a_code_of_its_own() -> None:
    tree = set(errors.ServeError.__subclasses__())
    assert set(errors.STATUS) == tree
    assert len({code for _, code in errors.STATUS.values()}) == len(tree)


def test_the_drawing_names_every_error() -> None:
    drawn = {line.split()[1] for line in (errors.__doc__ or "").splitlines() if "|-" in line}
    assert drawn == {kind.__name__ for kind in errors.STATUS}


def test_an_error_is_json_with_every_bad_line() -> None:
    error = errors.bad_lines([errors.BadLine(2, "no"), errors.BadLine(7, "nor this")], total=9)
    body, status = errors.render(error)
    assert status == 400
    assert json.loads(body) == {
        "error": "2 of 9 records cannot be read, so none was scored; line 2: no",
        "code": "bad_request",
        "lines": [{"line": 2, "error": "no"}, {"line": 7, "error": "nor this"}],
    }
