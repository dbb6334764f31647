"""Test which decoded JSON values are records, and what is said of others."""

from __future__ import annotations

from typing import Any

import pytest

from model_handler import Pairs
from serve.errors import BadLine
from serve.records import NO_PAIRS, Record, only_readable, record

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
        (
            {"inputs": ["a", "b"]},
            f'"inputs" holds 2 items, not one text; {SHAPE}; '
            "RESPONSE_FORMAT=huggingface reads lists",
        ),
        ({"features": ["a", 3]}, f'"features" holds 2 items, not one text; {SHAPE}'),
        ({"features": ["a", "b", "c"]}, f'"features" holds 3 items, not one text; {SHAPE}'),
        (
            {"features": ["a", "\ud800"]},
            '"features" holds half of a surrogate pair, which is no character',
        ),
        ({"text": "a", "text_pair": 3}, f'"text_pair" holds a number, not a text; {SHAPE}'),
        ({"text": "a", "text_pair": ["b"]}, f'"text_pair" holds a list, not a text; {SHAPE}'),
        (
            {"features": ["a"], "text_pair": "b"},
            '"text_pair" stands beside "text", not beside "features"',
        ),
        (
            {"inputs": "a", "text_pair": "b"},
            '"text_pair" stands beside "text", not beside "inputs"',
        ),
        (
            {"inputs": {"text_pair": "b"}},
            '"inputs" holds an object without "text"; expected {"text": ..., "text_pair": ...}',
        ),
        (
            {"inputs": {"text": "a", "pair": "b"}},
            '"inputs" holds an object with "pair"; expected {"text": ..., "text_pair": ...}',
        ),
        (
            {"inputs": "a", "parameters": {"top_k": 2}},
            '"parameters" holds "top_k", and none is read here; RESPONSE_FORMAT=huggingface reads '
            "top_k, function_to_apply and truncation",
        ),
        ({"text": "a", "parameters": 3}, '"parameters" holds a number, not an object'),
    ],
)
def test_an_object_without_one_text_is_told_what_it_holds(value: Any, reason: str) -> None:
    assert record(7, value) == BadLine(7, reason)


@pytest.mark.parametrize(
    "value",
    [
        {"text": "a", "text_pair": "b"},
        {"text": ["a"], "text_pair": "b", "id": 7},
        {"inputs": {"text": "a", "text_pair": "b"}},
        {"inputs": [{"text": "a", "text_pair": "b"}]},
    ],
)
def test_two_texts_are_a_pair(value: Any) -> None:
    assert record(7, value) == Record(7, ("a", "b"))


@pytest.mark.parametrize(
    "value",
    [
        {"text": "a", "title": "b"},
        {"text": "a", "text_pair": None},
        {"inputs": {"text": "a"}},
        {"inputs": {"text": "a", "text_pair": None}, "parameters": {}},
    ],
)
def test_one_text_is_none(value: Any) -> None:
    assert record(7, value) == Record(7, "a")


def test_a_pair_is_a_record_where_the_model_reads_it() -> None:
    single, pair, features = (
        record(number, value)
        for number, value in enumerate(
            [{"text": "a"}, {"text": "a", "text_pair": "b"}, {"features": ["a", "b"]}], 1
        )
    )
    wrong = f'"features" holds 2 items, not one text; {SHAPE}'
    hint = "; TEXT_PAIRS=1 or pack-model --pairs make a pair of two texts"
    broken = BadLine(4, "no")
    sent = [single, pair, features, broken]
    assert only_readable(sent, Pairs.FEATURES) == sent
    assert only_readable(sent, Pairs.TEXT_PAIR) == [single, pair, BadLine(3, wrong + hint), broken]
    refused = [single, BadLine(2, NO_PAIRS), BadLine(3, wrong), broken]
    assert only_readable(sent, Pairs.REFUSED) == refused
