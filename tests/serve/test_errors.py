"""Test the error tree and its two tables."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_handler import errors as model_errors
from serve import errors
from serve.entry_point import EntryPointError


def test_every_error_has_a_status_and_a_code_of_its_own() -> None:
    tree = set(errors.ServeError.__subclasses__())
    assert set(errors.STATUS) == tree
    assert len({code for _, code in errors.STATUS.values()}) == len(tree)


def test_the_drawing_names_every_error() -> None:
    drawn = {line.split()[1] for line in (errors.__doc__ or "").splitlines() if "|-" in line}
    assert drawn == {kind.__name__ for kind in errors.STATUS}


def exceptions_of_the_model() -> dict[str, type[Exception]]:
    """Return every class of model_handler/errors.py, by its name."""
    return {
        name: kind
        for name, kind in vars(model_errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }


def test_every_exception_of_the_model_has_an_error() -> None:
    assert set(errors.EXCEPTIONS) == {*exceptions_of_the_model().values(), BaseException}


def test_the_drawing_has_the_error_of_every_exception_of_the_model() -> None:
    _, _, drawing = (errors.__doc__ or "").partition("and of model_handler/errors.py")
    drawn: dict[str, str] = {}
    for line in drawing.strip().splitlines():
        *kinds, error = line.replace(",", "").split()
        drawn |= dict.fromkeys(kinds, error)
    table = {name: errors.EXCEPTIONS[kind][0] for name, kind in exceptions_of_the_model().items()}
    assert drawn == {name: kind.__name__ for name, kind in table.items()}


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (model_errors.ModelError("no"), 503, "the model could not be loaded: no"),
        (model_errors.ArtifactError("{no}"), 503, "the model could not be loaded: {no}"),
        (EntryPointError("no"), 503, "the model could not be loaded: no"),
        (model_errors.TooManyError(9.5, 1234), 413, "about 1,234 of them can, so send no more"),
        (model_errors.BusyError("too much waits", 2.5), 503, "too much waits; try again later"),
        (model_errors.LateError("late"), 504, "not finished in time: late; send fewer records"),
        (model_errors.LogitError("secret"), 500, "internal error 1f; the log says more"),
        (KeyError("secret"), 500, "internal error 1f; the log says more"),
        (errors.NotFound("no such path"), 404, "no such path"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_a_client_is_told_of_any_exception(error: Exception, status: int, says: str) -> None:
    told = errors.from_exception(error, "1f")
    body, found = errors.render(told)
    assert found == status
    assert says in json.loads(body)["error"]
    assert b"secret" not in body
    assert told.headers == ({"Retry-After": "3"} if "waits" in says else {})


def test_an_error_is_json_with_every_bad_line() -> None:
    error = errors.bad_lines([errors.BadLine(2, "no"), errors.BadLine(7, "nor this")], total=9)
    body, status = errors.render(error)
    assert status == 400
    assert json.loads(body) == {
        "error": "2 of 9 records cannot be read, so none was scored; line 2: no",
        "code": "bad_request",
        "lines": [{"line": 2, "error": "no"}, {"line": 7, "error": "nor this"}],
    }


def test_an_error_that_is_about_no_line_lists_none() -> None:
    body, status = errors.render(errors.NotFound("no such path"))
    assert status == 404
    assert body.endswith(b"\n")
    assert json.loads(body) == {"error": "no such path", "code": "not_found", "lines": []}


def test_headers_go_with_an_error_where_it_has_any() -> None:
    assert errors.NotFound("no such path").headers == {}
    allow = {"Allow": "GET"}
    assert errors.MethodNotAllowed("use GET here", headers=allow).headers == allow


@pytest.mark.parametrize(
    ("seconds", "header"),
    [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (7.5, "8"), (30.0, "30")],
)
def test_who_is_turned_away_is_told_to_wait_whole_seconds_and_one_at_least(
    seconds: float, header: str
) -> None:
    error = errors.Overloaded("try again", seconds)
    assert error.headers == {"Retry-After": header}
    assert errors.Overloaded("try again").headers == {"Retry-After": "1"}
    assert json.loads(errors.render(error)[0])["error"] == "try again"


@pytest.mark.parametrize(
    ("words", "clipped"),
    [("short", "short"), ("ten letter", "ten letter"), ("eleven lett", "eleven ...")],
)
def test_long_words_end_in_three_dots(words: str, clipped: str) -> None:
    assert errors.clip(words, 10) == clipped


def test_words_of_a_client_are_quoted_up_to_a_hundred_characters() -> None:
    assert errors.clip("x" * 100) == "x" * 100
    assert errors.clip("x" * 101) == "x" * 97 + "..."


@pytest.mark.parametrize("letter", ["x", '"', "\x00", "é", "😀"])
@pytest.mark.parametrize("length", [999, 1000, 1001, 100_000])
def test_a_long_message_is_cut_where_the_platform_would_cut_it(letter: str, length: int) -> None:
    body, _ = errors.render(errors.InternalError(letter * length))
    written = json.dumps(json.loads(body)["error"])[1:-1]
    if len(json.dumps(letter * length)) <= 1002:
        assert json.loads(body)["error"] == letter * length
    else:
        assert written.endswith("...")
        assert 950 < len(written) <= 1000


BAD_LINES = st.lists(
    st.builds(errors.BadLine, st.integers(1, 10**9), st.text(max_size=300)), max_size=200
)


@given(message=st.text(max_size=3000), bad=BAD_LINES)
def test_any_error_is_json_that_the_platform_passes_on_whole(
    message: str, bad: list[errors.BadLine]
) -> None:
    body, _ = errors.render(errors.BadRequest(message, bad))
    assert len(body.decode()) <= 2048
    found = json.loads(body)
    listed, omitted = found["lines"], found.get("omitted", 0)
    assert len(listed) + omitted == len(bad)
    assert listed == [{"line": one.number, "error": one.reason} for one in bad[: len(listed)]]
    assert ("omitted" in found) == (omitted > 0)


@given(bad=BAD_LINES.filter(len), more=st.integers(0, 10**6))
def test_any_bad_lines_of_a_body_are_one_error_that_can_be_passed_on(
    bad: list[errors.BadLine], more: int
) -> None:
    body, status = errors.render(errors.bad_lines(bad, len(bad) + more))
    assert status == 400
    assert len(body.decode()) <= 2048
    assert f"{len(bad):,} of {len(bad) + more:,} records" in json.loads(body)["error"]


@pytest.mark.parametrize("first", range(60))
def test_as_many_lines_are_listed_as_there_is_room_for(first: int) -> None:
    bad = [errors.BadLine(n, "x" * (20 if n > 1 else first)) for n in range(1, 60)]
    body, _ = errors.render(errors.BadRequest("no", bad))
    omitted = json.loads(body)["omitted"]
    one_more = len(', {"line": 50, "error": "xxxxxxxxxxxxxxxxxxxx"}')
    spare = 10 - len(str(omitted)) + 2  # kept for ten digits, and for a comma
    assert 2048 - one_more - spare < len(body) <= 2048
