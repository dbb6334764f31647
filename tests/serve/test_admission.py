"""Who gets in, and how much they bring."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from serve.admission import Admission
from serve.errors import BadRequest, Overloaded


def request(size: int) -> Request:
    return EnvironBuilder(method="POST", data=b"x" * size).get_request()


def test_one_too_many_is_refused_and_a_place_that_is_left_is_given_again() -> None:
    admission = Admission(requests=2, payload=100)
    with admission.enter(), admission.enter():
        with pytest.raises(Overloaded) as caught, admission.enter():
            pass
        assert caught.value.headers == {"Retry-After": "1"}
    with admission.enter(), admission.enter():
        pass


def test_bodies_may_be_four_of_the_largest_together() -> None:
    admission = Admission(requests=9, payload=100)
    with ExitStack() as entered:
        entries = [entered.enter_context(admission.enter()) for _ in range(5)]
        for entry in entries[:4]:
            assert entry.read(request(100)) == b"x" * 100
        with pytest.raises(Overloaded):
            entries[4].read(request(1))
    with admission.enter() as entry:
        assert len(entry.read(request(100))) == 100


def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    with Admission(1, payload=100).enter() as entry, pytest.raises(RequestEntityTooLarge):
        entry.read(request(101))


def test_what_is_announced_takes_no_room_before_it_is_there() -> None:
    admission = Admission(requests=9, payload=100)
    environ = EnvironBuilder(method="POST").get_environ()
    with ExitStack() as entered:
        for _ in range(5):
            with pytest.raises(BadRequest, match="ended before the body"):
                entered.enter_context(admission.enter()).read(
                    Request({**environ, "CONTENT_LENGTH": "100"})
                )
        assert len(entered.enter_context(admission.enter()).read(request(100))) == 100


def test_a_failure_gives_the_place_back() -> None:
    admission = Admission(requests=1, payload=100)
    for _ in range(3):
        with pytest.raises(RequestEntityTooLarge), admission.enter() as entry:
            entry.read(request(101))
    with admission.enter() as entry:
        assert len(entry.read(request(100))) == 100
