"""Test the lines that a real server writes about requests, and what never stands in them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serve.telemetry import STAGES
from tests.conftest import BLOG, BUNDLED, lines
from tests.contract import raw, targets
from tests.serve.logged import Logged, serving

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
REPORT = {ATTRIBUTES: "on-bad-record=report"}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    with serving(tmp_path_factory.mktemp("logged"), MAX_PAYLOAD_MB="1") as found:
        yield found


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code", "counts"),
    [
        ("POST", "/invocations", BLOG, {}, 200, None, (3, 0)),
        ("POST", "/invocations", BLOG + b"{}\n", REPORT, 200, None, (4, 1)),
        ("POST", "/invocations", b"{}\n", REPORT, 200, None, (1, 1)),
        ("POST", "/invocations", BLOG + b"{}\n", {}, 400, "bad_request", (4, 1)),
        ("POST", "/invocations", b"", {}, 400, "bad_request", (0, 0)),
        ("GET", "/nowhere", b"", {}, 404, "not_found", (0, 0)),
        ("GET", "/invocations", b"", {}, 405, "method_not_allowed", (0, 0)),
        ("POST", "/invocations", BLOG, {"Accept": "image/png"}, 406, "not_acceptable", (0, 0)),
        ("POST", "/invocations", b"x" * 1_100_000, {}, 413, "payload_too_large", (0, 0)),
        (
            "POST",
            "/invocations",
            BLOG,
            {"Content-Type": "text/html"},
            415,
            "unsupported_media_type",
            (0, 0),
        ),
    ],
)
def test_each_request_is_one_line_whether_it_was_answered_or_refused(
    logged: Logged,
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    status: int,
    code: str | None,
    counts: tuple[int, int],
) -> None:
    answer, line = logged.ask(body, headers, path, method)
    assert answer.status == line["status"] == status
    assert line["code"] == code
    assert line["route"] == ("unknown" if status in (404, 405) else path)
    assert (line["records"], line["bad_records"]) == counts
    assert line["bytes_in"] == (len(body) if status in (200, 400) else 0)
    assert line["bytes_out"] == len(answer.body)
    assert (line["tokens"] > 0) == ("labels" in line) == (status == 200 and counts != (1, 1))
    assert ("_aws" in line) == ("labels" in line)


def test_a_ping_is_no_line(logged: Logged) -> None:
    before = logged.out.stat().st_size
    assert logged.server.request("GET", "/ping").status == 200
    assert logged.lines(before) == []


def test_a_line_tells_what_was_found(logged: Logged) -> None:
    long = json.dumps({"text": "it did not fit " * 400}).encode() + b"\n"
    before = time.time()
    answer, line = logged.ask(BLOG + BLOG + long)
    found = lines(answer.body)
    labels = [str(each["predicted_label"]) for each in found]
    assert line["labels"] == {label: labels.count(label) for label in set(labels)}
    mean = sum(float(str(each["probability"])) for each in found) / len(found)
    assert line["confidence"] == pytest.approx(mean, abs=1e-4)
    assert line["truncated"] == 1
    assert line["engine"] == "onnxruntime"
    assert before - 0.01 <= line["time"] <= time.time()


def test_stages_sum_to_about_the_total(logged: Logged) -> None:
    body = b"".join(b'{"text": "number %d did not fit me at all"}\n' % n for n in range(200))
    _, line = logged.ask(body)
    total = sum(line[f"{stage}_ms"] for stage in STAGES)
    assert 0.7 * line["total_ms"] < total < line["total_ms"] + 0.1
    assert line["infer_ms"] > 0
    assert line["tokenise_ms"] > 0


def test_only_the_first_request_is_cold(tmp_path: Path) -> None:
    with serving(tmp_path, MODEL_LOAD="lazy") as logged:
        found = [logged.ask(BLOG) for _ in range(3)]
    assert [line["cold"] for _, line in found] == [True, False, False]
    for answer, line in found:
        assert answer.headers[ATTRIBUTES.lower()].startswith(f"cold={int(line['cold'])},")
    assert found[0][1]["queue_ms"] > found[1][1]["queue_ms"]  # it waited for the model


def test_requests_at_once_are_lines_of_their_own_with_an_id_each(logged: Logged) -> None:
    before = logged.out.stat().st_size
    with ThreadPoolExecutor(16) as pool:
        asked = [
            pool.submit(logged.server.request, "POST", "/invocations", BLOG * (1 + place % 4))
            for place in range(64)
        ]
        assert [answer.result().status for answer in asked] == [200] * 64
    found = logged.requests(before)
    assert len({line["request_id"] for line in found}) == 64
    assert sorted(line["records"] for line in found) == sorted(3 * (1 + n % 4) for n in range(64))


def test_the_ids_of_a_client_are_carried(logged: Logged) -> None:
    _, line = logged.ask(BLOG, {INFERENCE_ID: "order-7", ATTRIBUTES: "scores=all, shop=3"})
    assert line["inference_id"] == "order-7"
    assert line["custom_attributes"] == "scores=all, shop=3"
    _, line = logged.ask(BLOG, {INFERENCE_ID: "x" * 65, ATTRIBUTES: "x" * 1025})
    assert (line["inference_id"], line["custom_attributes"]) == ("", "")


def test_a_model_that_cannot_be_loaded_is_told_in_each_line(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with serving(tmp_path, MODEL_DIR=str(tmp_path / "model")) as logged:
        _, line = logged.ask(BLOG)
    assert (line["status"], line["code"], line["engine"]) == (503, "model_unavailable", None)
    assert "model load failed: " in logged.err.read_text()


def test_no_word_of_a_record_or_an_address_is_written_at_any_level(tmp_path: Path) -> None:
    with serving(tmp_path, LOG_LEVEL="debug", MAX_PAYLOAD_MB="1") as logged:
        for body in (
            b'{"features": ["secret"]}\n',
            b'{"secret": "secret"}\n',
            b'{"features": ["secret", "secret"]}\n',
            b'{"features": [secret\n',
            b'"secret"\n\xff secret\n',
            b'{"features": ["' + b"secret " * 1000 + b'"]}\n',
            b"secret" * 200_000,
        ):
            logged.ask(body)
            logged.ask(body, REPORT, "/invocations?secret=secret")
            logged.ask(body, {"Content-Type": "application/json", "X-Secret": "secret"})
            logged.ask(body, {"Content-Type": "text/csv", "Accept": "text/secret"})
        logged.ask(b"secret", {"Content-Type": "text/secret", "Content-Encoding": "secret"})
        logged.ask(b"secret", path="/secret/secret?secret=secret")
        logged.ask(b"secret", method="SECRET")
        port = logged.server.port
        for end in (
            b"Host: secret",
            b"Content-Length: secret\r\n\r\n",
            b"secret secret: secret\r\n\r\n",
            b"Content-Length: 100\r\n\r\nsecret",
            b"Transfer-Encoding: chunked\r\n\r\nsecret\r\nsecret\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n20\r\nsecret",
        ):
            raw.exchange(port, b"POST /invocations?secret HTTP/1.1\r\n" + end)
        raw.exchange(port, b"secret secret secret secret\r\n\r\n")
        raw.exchange(port, b"GET /secret" + b"secret" * 2000 + b" HTTP/1.1\r\n\r\n")
        assert logged.requests()
        logged.stop()
    written = logged.out.read_text() + logged.err.read_text()
    assert "secret" not in written.lower()
    assert "Traceback" not in written


def test_above_info_nothing_is_written_about_requests(tmp_path: Path) -> None:
    with serving(tmp_path, LOG_LEVEL="warning") as logged:
        assert logged.server.request("POST", "/invocations", BLOG).status == 200
        assert logged.server.request("POST", "/invocations", b"{").status == 400
        logged.stop()
    assert logged.out.read_bytes() == b""
    assert logged.err.read_bytes() == b""


def test_a_stdout_that_nobody_reads_any_more_costs_no_answer(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {"MODEL_DIR": str(BUNDLED)}
    with (
        (tmp_path / "log").open("wb") as log,
        targets.gunicorn(environment, log, writer) as (server, process),
    ):
        os.close(writer)
        server.wait(process)
        for _ in range(2):
            assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3
        process.terminate()
        assert process.wait(30) == 0
    assert "a request could not be logged: Broken pipe" in (tmp_path / "log").read_text()


def test_lines_are_written_in_full_before_the_process_is_killed(tmp_path: Path) -> None:
    """The platform may freeze a process, and later drop it, right after an answer."""
    with serving(tmp_path) as logged:
        logged.server.request("POST", "/invocations", BLOG)
        logged.process.kill()
        assert logged.process.wait(30) == -9
        found = logged.lines()
    assert [line["event"] for line in found].count("request") == 1
    shares = [line["Label"] for line in found if "LabelShare" in line]
    assert sorted(shares) == ["-1", "0", "1"]
