"""Test what the headers of a request ask for."""

from __future__ import annotations

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from model_handler import Usage
from serve import negotiation
from serve.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from serve.request_summary import RequestSummary


def request(**headers: str) -> Request:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return EnvironBuilder(method="POST", headers=list(fields.items())).get_request()


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/jsonlines"),
        ("*/*", "application/jsonlines"),
        ("application/*", "application/jsonlines"),
        ("text/*", "text/csv"),
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("APPLICATION/JSON", "application/json"),
        ("application/x-jsonlines", "application/x-jsonlines"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/jsonl", "application/jsonl"),
        ("application/json;q=0.5, text/csv;q=0.9", "text/csv"),
        ("application/json;q=0.9, text/csv;q=0.5", "application/json"),
        ("text/html, application/json;q=0.1", "application/json"),
        ("application/jsonlines;q=0, */*;q=0.1", "application/x-jsonlines"),
        ("text/html, */*;q=0.01", "application/jsonlines"),
        ("application/json;q=high", "application/jsonlines"),
        (",;,", "application/jsonlines"),
    ],
)
def test_the_answer_has_the_type_that_is_liked_best(accept: str, expected: str) -> None:
    assert negotiation.read(request(Accept=accept)).answer_type == expected


@pytest.mark.parametrize("accept", [{}, {"Accept": "*/*"}, {"Accept": "text/csv"}])
def test_csv_is_answered_by_csv_unless_something_else_is_asked_for(accept: dict[str, str]) -> None:
    assert negotiation.read(request(Content_Type="text/csv", **accept)).answer_type == "text/csv"
    json = negotiation.read(request(Content_Type="text/csv", Accept="application/json"))
    assert json.answer_type == "application/json"


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "*/*;q=0", "x" * 5000])
def test_what_is_not_on_offer_is_refused_with_what_is(accept: str) -> None:
    with pytest.raises(NotAcceptable, match=r"ask for application/jsonlines, .*text/csv") as caught:
        negotiation.read(request(Accept=accept))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", '"utf-8"', "us-ascii"])
def test_names_of_utf_8_are_taken(charset: str) -> None:
    found = negotiation.read(request(Content_Type=f"application/json; charset={charset}"))
    assert found.media_type == "application/json"


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "iso-8859-1", "x" * 500])
def test_other_charsets_are_refused(charset: str) -> None:
    with pytest.raises(BadRequest, match="is not read; send UTF-8") as caught:
        negotiation.read(request(Content_Type=f"application/jsonlines; charset={charset}"))
    assert len(str(caught.value)) < 200


def test_compressed_bodies_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding gzip"):
        negotiation.read(request(Content_Encoding="gzip"))
    assert negotiation.read(request(Content_Encoding="identity")).media_type == ""


@pytest.mark.parametrize(
    ("attributes", "scores", "report"),
    [
        ("", False, False),
        ("scores=all", True, False),
        ("trace=1, Scores=All ,on-bad-record=report", True, True),
        ("scores=none,on-bad-record=fail", False, False),
        ("scores=all\xe9", False, False),  # not ASCII, so not from the platform
    ],
)
def test_wishes_stand_in_the_custom_attributes(attributes: str, scores: bool, report: bool) -> None:
    found = negotiation.read(request(X_Amzn_SageMaker_Custom_Attributes=attributes))
    assert (found.scores, found.report) == (scores, report)


@pytest.mark.parametrize(
    ("attributes", "threshold"),
    [("", None), ("trace=1, Threshold=0.3", 0.3), ("threshold=0", 0.0), ("threshold=1e-1", 0.1)],
)
def test_a_threshold_may_be_asked_for(attributes: str, threshold: float | None) -> None:
    found = negotiation.read(request(X_Amzn_SageMaker_Custom_Attributes=attributes))
    assert found.threshold == threshold


@pytest.mark.parametrize("value", ["", "half", "1.5", "-0.1", "nan", "inf", "x" * 500])
def test_a_threshold_that_is_none_is_refused(value: str) -> None:
    asked = request(X_Amzn_SageMaker_Custom_Attributes=f"threshold={value}")
    with pytest.raises(BadRequest, match="use a number from 0 to 1"):
        negotiation.read(asked)


def reply(attributes: str, inference_id: str = "") -> Response:
    asked = request(
        X_Amzn_SageMaker_Custom_Attributes=attributes, X_Amzn_SageMaker_Inference_Id=inference_id
    )
    summary = RequestSummary("/", negotiation.inference_id(asked), negotiation.attributes(asked))
    summary.usage = Usage(infer=0.0123, tokenise=0.001, cold=True)
    response = Response()
    negotiation.add_headers(response, summary)
    return response


def test_a_reply_carries_what_its_request_had_and_how_the_model_did() -> None:
    headers = reply("trace=7", "id-1").headers
    assert headers[negotiation.ATTRIBUTES] == "trace=7,cold=1,model-ms=13.3"
    assert headers[negotiation.INFERENCE_ID] == "id-1"
    assert reply("").headers[negotiation.ATTRIBUTES] == "cold=1,model-ms=13.3"


@pytest.mark.parametrize("attributes", ["x" * 1024, "x" * 2000, "\u00e9"])
def test_a_reply_never_has_more_attributes_than_the_platform_takes(attributes: str) -> None:
    assert reply(attributes, "x" * 65).headers[negotiation.ATTRIBUTES] == "cold=1,model-ms=13.3"
    assert negotiation.INFERENCE_ID not in reply(attributes, "x" * 65).headers


def test_a_reply_counts_texts_that_were_cut_and_texts_without_a_known_word() -> None:
    summary = RequestSummary("/", "", "x" * 990)
    summary.usage = Usage(truncated=2, unknown=500_000)
    response = Response()
    negotiation.add_headers(response, summary)
    ours = "cold=0,model-ms=0.0,truncated=2,unknown=500000"
    assert response.headers[negotiation.ATTRIBUTES] == ours
    summary.attributes = "x" * 900
    negotiation.add_headers(response, summary)
    assert response.headers[negotiation.ATTRIBUTES] == f"{'x' * 900},{ours}"
