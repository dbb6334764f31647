"""What a decoded JSON value must hold to be a record, and what is said of one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from serve.errors import BadLine
from serve.records import Record, record

SHAPE = 'expected {"features": ["text"]}'


@pytest.mark.parametrize("key", ["features", "text", "inputs"])
@pytest.mark.parametrize("text", ["fine", "", " ", "\x00", "\u2028", "😀"])
def test_a_text_is_taken_as_it_is_alone_or_in_a_list(key: str, text: str) -> None:
    assert record(7, {key: text}) == record(7, {key: [text]}) == Record(7, text)


def test_of_several_texts_the_one_of_the_contract_counts() -> None:
    assert record(1, {"inputs": "c", "text": "b", "features": ["a"]}) == Record(1, "a")
    assert record(1, {"inputs": "c", "text": "b"}) == Record(1, "b")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (True, "a boolean"),
        (None, "null"),
        (0, "a number"),
        (0.5, "a number"),
        ("fine", "a bare string"),
        ([], "a list"),
        ([{"features": ["fine"]}], "a list"),
    ],
)
def test_what_is_no_object_is_named_in_the_words_of_json(value: Any, what: str) -> None:
    assert record(7, value) == BadLine(7, f"{SHAPE}, not {what}")


@pytest.mark.parametrize("key", ["features", "text", "inputs"])
def test_the_key_of_an_object_that_was_not_put_in_a_list_is_told_apart(key: str) -> None:
    """The SageMaker SDK's JSONLinesSerializer sends the keys of a bare dict as lines."""
    hint = "if you use JSONLinesSerializer, pass a list of dicts, not one dict"
    assert record(7, key) == BadLine(7, f"{SHAPE}, not a bare string; {hint}")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, f'no "features" in the object; {SHAPE}'),
        ({"Features": ["fine"]}, f'no "features" in the object; {SHAPE}'),
        ({"features": []}, f'"features" holds 0 items, not one text; {SHAPE}'),
        ({"text": ["a", "b"]}, f'"text" holds 2 items, not one text; {SHAPE}'),
        ({"inputs": [["a"]]}, f'"inputs" holds a list, not a text; {SHAPE}'),
        ({"text": {}}, f'"text" holds an object, not a text; {SHAPE}'),
        ({"features": None, "text": "fine"}, f'"features" holds null, not a text; {SHAPE}'),
        ({"features": [False]}, f'"features" holds a boolean, not a text; {SHAPE}'),
        ({"text": 3.0}, f'"text" holds a number, not a text; {SHAPE}'),
        ({"text": "\ud800"}, '"text" holds half of a surrogate pair, which is no character'),
    ],
)
def test_an_object_without_one_text_is_told_what_it_holds(value: Any, reason: str) -> None:
    assert record(7, value) == BadLine(7, reason)
