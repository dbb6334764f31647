"""Test how many requests are admitted, and how much memory they may take."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from serve.admission import Admission
from serve.errors import BadRequest, Overloaded, PayloadTooLarge


def request(size: int) -> Request:
    return EnvironBuilder(method="POST", data=b"x" * size).get_request()


def read(admission: Admission, size: int) -> bytes:
    with admission.admit(request(size)) as entry:
        return entry.read(request(size))


def test_one_too_many_is_refused_and_a_place_that_is_left_is_given_again() -> None:
    admission = Admission(requests=2, payload=100)
    first, second, third = (admission.admit(request(1)) for _ in range(3))
    first.take_place()
    second.take_place()
    with pytest.raises(Overloaded) as caught:
        third.take_place()
    assert caught.value.headers == {"Retry-After": "1"}
    first.leave()
    first.leave()  # which gives nothing twice
    third.take_place()
    with pytest.raises(Overloaded):
        admission.admit(request(1)).take_place()


def test_a_body_that_is_still_read_takes_no_place() -> None:
    admission = Admission(requests=1, payload=100)
    entries = [admission.admit(request(1)) for _ in range(9)]
    for entry in entries:
        assert entry.read(request(1)) == b"x"
    entries[0].take_place()


def test_bodies_may_be_four_of_the_largest_together() -> None:
    admission = Admission(requests=9, payload=100)
    with ExitStack() as entered:
        for _ in range(4):
            entry = entered.enter_context(admission.admit(request(100)))
            assert entry.read(request(100)) == b"x" * 100
        with pytest.raises(Overloaded):
            read(admission, 1)
        entry.leave()
    assert read(admission, 100) == b"x" * 100


def test_an_answer_counts_until_it_has_been_sent() -> None:
    admission = Admission(requests=9, payload=100)
    entry = admission.admit(request(1))
    answer = b"".join(entry.send(b"y" * 1000))  # larger than all bodies may be
    assert answer == b"y" * 1000
    with pytest.raises(Overloaded):
        read(admission, 1)
    assert admission.refused
    entry.leave()
    assert read(admission, 100) == b"x" * 100


def test_an_answer_that_nobody_reads_is_told_from_one_that_is_read() -> None:
    entry = Admission(requests=9, payload=100).admit(request(1))
    assert not entry.is_unread_since(time.monotonic())
    pieces = entry.send(b"y" * 1_000_000)
    next(pieces)
    then = time.monotonic()
    assert entry.is_unread_since(then)
    next(pieces)
    assert not entry.is_unread_since(then)


def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    with pytest.raises(PayloadTooLarge):
        Admission(1, payload=100).admit(request(101))


def test_what_is_announced_takes_no_room_before_it_is_there() -> None:
    admission = Admission(requests=9, payload=100)
    environ = EnvironBuilder(method="POST").get_environ()
    short = Request({**environ, "CONTENT_LENGTH": "100"})
    for _ in range(5):
        with pytest.raises(BadRequest, match="ended before the body"):
            admission.admit(short).read(short)
    assert read(admission, 100) == b"x" * 100


def test_a_failure_gives_everything_back() -> None:
    admission = Admission(requests=1, payload=100)
    for _ in range(9):
        with suppress(KeyError), admission.admit(request(100)) as entry:
            entry.read(request(100))
            entry.take_place()
            raise KeyError
    admission.admit(request(100)).take_place()
