"""What only an application with a model of our choosing can show: loading, failing, breaking."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest

from model_handler import Handler, ModelError
from serve import create_app
from serve.settings import Settings
from tests.conftest import BLOG, BUNDLED

LINE = b'{"features": ["my secret review"]}\n'


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
