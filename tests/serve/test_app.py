"""Test the application with models that load late, fail to load, or break."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from model_handler import Handler, ModelError
from serve import create_app
from serve.negotiation import ATTRIBUTES
from serve.settings import Settings
from tests.conftest import BLOG, BUNDLED, lines

LINE = b'{"features": ["my secret review"]}\n'


@pytest.fixture(scope="module")
def lazy() -> FlaskClient:
    """Return a client of the bundled model, which is loaded when it is needed."""
    return create_app(Settings(model_dir=BUNDLED, model_load="lazy")).test_client()


def test_a_ping_before_the_first_use_of_a_lazy_model_is_answered() -> None:
    client = create_app(Settings(model_dir=BUNDLED, model_load="lazy")).test_client()
    answer = client.get("/ping")
    assert (answer.status_code, answer.data) == (200, b"")


def test_a_strict_ping_waits_for_the_model() -> None:
    settings = Settings(model_dir=BUNDLED, model_load="lazy", ping_ready="strict")
    client = create_app(settings).test_client()
    assert client.get("/ping").status_code == 503
    assert client.post("/invocations", data=BLOG).status_code == 200
    assert client.get("/ping").status_code == 200


def test_a_model_that_cannot_be_loaded_is_503_with_the_reason(tmp_path: Path) -> None:
    client = create_app(Settings(model_dir=tmp_path)).test_client()
    deadline = time.monotonic() + 10
    while client.get("/ping").status_code == 200:
        assert time.monotonic() < deadline
    for answer in (client.get("/ping"), client.post("/invocations", data=LINE)):
        assert answer.status_code == 503
        assert "holds no model" in json.loads(answer.data)["error"]


def test_an_eager_model_that_cannot_be_loaded_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        create_app(Settings(model_dir=tmp_path, model_load="eager"))


def test_a_fault_of_ours_is_500_with_an_id_and_no_internals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Handler, texts: list[str], *_rest: object) -> None:
        raise RuntimeError(f"cannot score {texts}")

    monkeypatch.setattr(Handler, "score", broken)
    client = create_app(Settings(model_dir=BUNDLED, model_load="lazy")).test_client()
    with caplog.at_level(logging.ERROR):
        answer = client.post("/invocations", data=LINE)
    assert answer.status_code == 500
    body = json.loads(answer.data)
    assert body["code"] == "internal_error"
    identity = body["error"].split()[2].rstrip(";")
    assert identity in caplog.text
    assert "RuntimeError" in caplog.text
    assert "RuntimeError" not in body["error"]
    assert "secret" not in caplog.text + body["error"]


def test_a_model_that_computes_what_is_no_number_is_500_with_an_id(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from model_handler.engines.onnx_engine import OnnxEngine

    run = OnnxEngine.logits
    monkeypatch.setattr(OnnxEngine, "logits", lambda self, batch: run(self, batch) / 0.0)
    client = create_app(Settings(model_dir=BUNDLED, model_load="lazy")).test_client()
    with caplog.at_level(logging.ERROR), np.errstate(divide="ignore"):
        answer = client.post("/invocations", data=LINE)
    assert answer.status_code == 500
    assert json.loads(answer.data)["code"] == "internal_error"
    assert "LogitError" in caplog.text


@pytest.mark.parametrize("path", ["/ping", "/invocations"])
def test_why_a_model_cannot_be_loaded_is_said_once(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("model_handler.engines.onnx_engine.open_model", broken)
    client = create_app(Settings(model_dir=BUNDLED, model_load="lazy")).test_client()
    client.post("/invocations", data=LINE)
    answer = client.open(path, method="GET" if path == "/ping" else "POST", data=LINE)
    reason = "the model could not be loaded: unforeseen RuntimeError; the log has more"
    assert (answer.status_code, json.loads(answer.data)["error"]) == (503, reason)


# Ten thousand lines, bad ones among them; and which are bad.
MANY = 10_000
BODIES = [
    pytest.param("application/jsonlines", LINE, b'{"features": []}\n', range(7, MANY + 1, 7)),
    pytest.param("application/jsonlines", LINE, b"null\n", range(1, MANY + 1)),
    pytest.param("application/jsonlines", LINE, b"{\n", [MANY]),
    pytest.param("application/jsonlines", LINE, b'{"features": "\xff"}\n', [1, 2, 9_999]),
    pytest.param("text/csv", b"my secret review\r\n", b'"my", "secret"\r\n', range(3, MANY, 2)),
]


@pytest.mark.parametrize(("kind", "good", "bad", "places"), BODIES)
def test_ten_thousand_lines_with_bad_ones_are_refused_and_the_first_bad_ones_are_listed(
    lazy: FlaskClient, kind: str, good: bytes, bad: bytes, places: Sequence[int]
) -> None:
    body = b"".join(bad if number in places else good for number in range(1, MANY + 1))
    answer = lazy.post("/invocations", data=body, content_type=kind)
    assert answer.status_code == 400
    assert len(answer.data) <= 2048
    found = json.loads(answer.data)
    assert f"{len(places):,} of {MANY:,} records" in found["error"]
    assert f"; line {places[0]}: " in found["error"]
    listed = [line["line"] for line in found["lines"]]
    assert listed
    assert listed == list(places[: len(listed)])
    assert len(listed) + found.get("omitted", 0) == len(places)
    assert b"secret" not in answer.data


@pytest.mark.parametrize(("kind", "good", "bad", "places"), BODIES)
def test_ten_thousand_lines_with_bad_ones_are_answered_each_in_its_place_on_request(
    lazy: FlaskClient, kind: str, good: bytes, bad: bytes, places: Sequence[int]
) -> None:
    body = b"".join(bad if number in places else good for number in range(1, MANY + 1))
    headers = {ATTRIBUTES: "on-bad-record=report", "Accept": "application/jsonlines"}
    answer = lazy.post("/invocations", data=body, content_type=kind, headers=headers)
    assert answer.status_code == 200
    found = lines(answer.data)
    assert len(found) == MANY
    assert [number for number, line in enumerate(found, 1) if "error" in line] == list(places)
    assert all(("error" in line) != ("probability" in line) for line in found)
