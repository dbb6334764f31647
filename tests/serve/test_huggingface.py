"""Test RESPONSE_FORMAT=huggingface against transformers' own pipeline, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from benchmarks.models import architectures
from serve import create_app
from serve.negotiation import ATTRIBUTES
from serve.settings import Settings
from tests.conftest import BUNDLED

JSON = "application/json"
# One label, several, a value whose type is declared, one whose type is not, several values.
MODELS: dict[str, dict[str, Any]] = {
    "one label": {},
    "several labels": {"problem_type": "multi_label_classification"},
    "value": {"problem_type": "regression", "id2label": {0: "fit"}},
    "undeclared": {"id2label": {0: "fit"}},
    "values": {"problem_type": "regression", "id2label": {0: "fit", 1: "price"}},
}
PAIR = {"text": "it is good", "text_pair": "the zip broke"}

Ask = Callable[[Any], Any]


def client(directory: Path, **settings: Any) -> FlaskClient:
    app = create_app(
        Settings(model_dir=directory, model_load="lazy", response_format="huggingface", **settings)
    )
    return app.test_client()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Ask, Ask]]:
    """By a model's name: what asks us, and what asks transformers' pipeline."""

    @cache
    def of(name: str) -> tuple[Ask, Ask]:
        from transformers import pipeline

        folder = tmp_path_factory.mktemp("hf") / "model"
        architectures.make("bert", folder, **MODELS[name])
        ours, theirs = client(folder), pipeline("text-classification", str(folder), device="cpu")
        # As BertTokenizer does; a tokenizer without a class of its own names no token types.
        assert theirs.tokenizer is not None
        theirs.tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]

        def ask(question: Any) -> Any:
            answer = ours.post("/invocations", json=question)
            assert answer.status_code == 200, answer.data
            assert answer.content_type == JSON
            return json.loads(answer.data)

        def pipe(question: Any) -> Any:
            # As sagemaker-huggingface-inference-toolkit calls it.
            return theirs(
                question.get("inputs", {k: v for k, v in question.items() if k != "parameters"}),
                **question.get("parameters", {}),
            )

        return ask, pipe

    return of


def near(value: Any) -> Any:
    if isinstance(value, dict):
        return value | {"score": pytest.approx(value["score"], abs=1e-5)}
    return [near(each) for each in value]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        {"top_k": 1},
        {"top_k": 2},
        {"top_k": None},
        {"top_k": 99, "function_to_apply": "sigmoid"},
        {"function_to_apply": "none"},
        {"function_to_apply": "softmax", "truncation": True},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "inputs",
    ["I love it", ["it broke"], ["good", "not good !", "good"], PAIR, [PAIR, {"text": "bad"}]],
    ids=["text", "list of one", "list", "pair", "list of pairs"],
)
def test_an_answer_is_that_of_the_pipeline(
    both: Callable[[str], tuple[Ask, Ask]], name: str, parameters: Any, inputs: Any
) -> None:
    ours, theirs = both(name)
    question = {"inputs": inputs} | ({} if parameters is None else {"parameters": parameters})
    assert ours(question) == near(theirs(question))


def test_an_object_without_inputs_is_itself_the_inputs(
    both: Callable[[str], tuple[Ask, Ask]],
) -> None:
    ours, theirs = both("one label")
    question = {**PAIR, "parameters": {"top_k": 2}}
    assert ours(question) == near(theirs(question))


@pytest.fixture(scope="module")
def bundled() -> FlaskClient:
    return client(BUNDLED)


def post(client: FlaskClient, body: bytes | str, kind: str = JSON, **headers: str) -> Any:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/invocations", data=body, content_type=kind, headers=fields)


def test_lines_are_answered_by_lines_each_with_its_own_parameters(bundled: FlaskClient) -> None:
    answer = post(
        bundled,
        b'{"inputs": "I love it"}\n'
        b'{"inputs": ["I love it", "It broke"], "parameters": {"top_k": 1}}\n'
        b'{"inputs": {"text": "It broke"}}\n',
        "application/jsonlines",
    )
    assert (answer.status_code, answer.content_type) == (200, "application/jsonlines")
    first, second, third = map(json.loads, answer.data.splitlines())
    assert [each["label"] for each in first] == ["1"]
    assert [[each["label"] for each in found] for found in second] == [["1"], ["-1"]]
    assert third["label"] == "-1"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[]", "holds no record"),
        ('"text"', 'expected {"inputs": "text"}, not a bare string'),
        ("{}", 'no "inputs" in the object'),
        ('{"features": ["good"]}', 'no "inputs" in the object'),
        ('{"inputs": []}', '"inputs" holds 0 items'),
        ('{"inputs": 3}', '"inputs" holds a number, not a text'),
        ('{"inputs": ["good", ["a", "b"]]}', 'item 2 of "inputs" holds a list, not a text'),
        ('{"inputs": {"text": "a", "title": "b"}}', '"inputs" holds an object with "title"'),
        ('{"inputs": "a", "parameters": []}', '"parameters" holds a list, not an object'),
        (
            '{"inputs": "a", "parameters": {"temperature": 1}}',
            '"parameters" holds "temperature", which is not read; top_k, function_to_apply',
        ),
        (
            '{"inputs": "a", "parameters": {"max_length": 9}}',
            '"max_length", which is not read; top_k, function_to_apply, truncation are; MAX_LENGTH',
        ),
        ('{"inputs": "a", "parameters": {"top_k": 0}}', '"top_k" must be a whole number from 1'),
        ('{"inputs": "a", "parameters": {"top_k": 1.5}}', '"top_k" must be a whole number from 1'),
        ('{"inputs": "a", "parameters": {"top_k": 1e999}}', '"top_k" must be a whole number'),
        ('{"inputs": "a", "parameters": {"top_k": true}}', '"top_k" must be a whole number'),
        (
            '{"inputs": "a", "parameters": {"function_to_apply": []}}',
            '"function_to_apply" must be sigmoid, softmax, none or default',
        ),
        ('{"inputs": "a", "parameters": {"truncation": "yes"}}', '"truncation" must be true or'),
        ('{"inputs": "\\ud800"}', "half of a surrogate pair"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    bundled: FlaskClient, body: str, reason: str
) -> None:
    answer = post(bundled, body)
    assert answer.status_code == 400
    assert reason in json.loads(answer.data)["error"]


def test_a_text_that_may_not_be_cut_is_refused_when_it_is_too_long(bundled: FlaskClient) -> None:
    question = {"inputs": ["good", "good " * 500], "parameters": {"truncation": False}}
    answer = bundled.post("/invocations", json=question)
    assert answer.status_code == 400
    assert "has more tokens than the model reads" in json.loads(answer.data)["error"]
    question["parameters"] = {"truncation": True}
    answer = bundled.post("/invocations", json=question)
    assert answer.status_code == 200
    assert "truncated=1" in answer.headers[ATTRIBUTES]


def test_bad_records_are_answered_in_their_places_on_request(bundled: FlaskClient) -> None:
    report = {ATTRIBUTES.replace("-", "_"): "on-bad-record=report"}
    body = b'{"inputs": ["good", 3]}\n{oops\n{"inputs": "bad", "parameters": {"x": 1}}\n'
    answer = post(bundled, body, "application/jsonlines", **report)
    assert answer.status_code == 200
    (good, bad), broken, refused = map(json.loads, answer.data.splitlines())
    assert good["label"] == "1"
    assert [set(each) for each in (bad, broken, refused)] == [{"error"}] * 3
    strict = post(bundled, body, "application/jsonlines")
    assert [line["line"] for line in json.loads(strict.data)["lines"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("kind", "accept", "status"),
    [
        ("text/csv", "*/*", 415),
        (JSON, "text/csv", 406),
        (JSON, "application/jsonlines", 200),
        ("application/x-jsonlines", JSON, 200),
    ],
)
def test_there_is_no_csv_in_this_format(
    bundled: FlaskClient, kind: str, accept: str, status: int
) -> None:
    assert post(bundled, b'{"inputs": "good"}', kind, Accept=accept).status_code == status


def test_more_texts_than_a_body_may_hold_are_refused(
    bundled: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.wire.MOST_RECORDS", 3)
    assert bundled.post("/invocations", json={"inputs": ["good"] * 3}).status_code == 200
    answer = bundled.post("/invocations", json={"inputs": ["good"] * 4})
    assert json.loads(answer.data)["code"] == "too_many_records"
