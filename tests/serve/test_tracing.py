"""Test the spans that a collector receives from a real server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from serve.telemetry import STAGES
from tests.conftest import BLOG, BUNDLED, ROOT
from tests.serve.logged import Line, Logged, serving


class Collector:
    """Receives spans as OTLP over HTTP, in protobuf."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.service = ""
        self.spans: list[Span] = []

    def take(self, body: bytes) -> None:
        """Keep the spans of one export."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {each.key: each.value for each in resource.resource.attributes}
            self.service = attributes["service.name"].string_value
            for scope in resource.scope_spans:
                self.spans += scope.spans


@contextmanager
def collecting() -> Iterator[Collector]:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the test tells what went wrong."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        collector = Collector(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Logged, Collector]]:
    """Run a server that has answered and was stopped, and a collector of its spans."""
    with (
        collecting() as collector,
        serving(
            tmp_path_factory.mktemp("life"),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_SERVICE_NAME="reviews",
        ) as logged,
    ):
        logged.ask(BLOG, {"X-Amzn-SageMaker-Inference-Id": "order-7"})
        logged.ask(b"{}\n")
        logged.ask(b"", path="/secret?secret")
        logged.server.request("GET", "/ping")
        logged.stop()
        yield logged, collector


def values(span: Span) -> dict[str, object]:
    """Attributes by name."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }


def of(collector: Collector, line: Line) -> tuple[Span, list[Span]]:
    """Return the span of a request, and those of its stages."""
    (span,) = [
        each for each in collector.spans if values(each).get("request_id") == line["request_id"]
    ]
    return span, [each for each in collector.spans if each.parent_span_id == span.span_id]


def test_no_span_is_lost_when_the_server_stops(life: tuple[Logged, Collector]) -> None:
    """They leave the server in batches, five seconds apart, and it lived for less."""
    logged, collector = life
    requests = [span for span in collector.spans if not span.parent_span_id]
    assert [values(span)["request_id"] for span in requests] == [
        line["request_id"] for line in logged.requests()
    ]
    assert collector.service == "reviews"


def test_a_request_is_a_span_with_its_route_and_status(life: tuple[Logged, Collector]) -> None:
    logged, collector = life
    good, bad, unknown = logged.requests()
    span, _ = of(collector, good)
    assert span.name == "/invocations"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert values(span) == {
        "http.route": "/invocations",
        "http.response.status_code": 200,
        "request_id": good["request_id"],
        "inference_id": "order-7",
        "records": 3,
        "tokens": good["tokens"],
        "cold": True,
    }
    took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    assert took == pytest.approx(good["total_ms"], abs=0.02)
    assert span.start_time_unix_nano / 1e9 == pytest.approx(good["time"], abs=0.002)
    span, _ = of(collector, bad)
    assert values(span)["http.response.status_code"] == 400
    assert values(span)["error.type"] == "bad_request"
    assert span.status.code == Status.STATUS_CODE_UNSET  # a fault of the client's
    span, _ = of(collector, unknown)
    assert (span.name, values(span)["http.route"]) == ("unknown", "unknown")
    assert not any(b"secret" in each.SerializeToString() for each in collector.spans)


def test_each_stage_is_a_span_within_that_of_its_request(life: tuple[Logged, Collector]) -> None:
    logged, collector = life
    good, bad, _ = logged.requests()
    span, stages = of(collector, good)
    assert sorted(each.name for each in stages) == sorted(STAGES)
    for stage in stages:
        assert stage.trace_id == span.trace_id
        assert span.start_time_unix_nano <= stage.start_time_unix_nano
        assert stage.end_time_unix_nano <= span.end_time_unix_nano
        took = (stage.end_time_unix_nano - stage.start_time_unix_nano) / 1e6
        assert took == pytest.approx(good[f"{stage.name}_ms"], abs=0.02)
    assert sorted(each.name for each in of(collector, bad)[1]) == ["parse", "read"]


def test_a_fault_of_the_server_is_an_error_of_the_span(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with (
        collecting() as collector,
        serving(
            tmp_path,
            MODEL_DIR=str(tmp_path / "model"),
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.endpoint}/v1/traces",
            LOG_LEVEL="critical",  # silences lines, not spans
        ) as logged,
    ):
        logged.server.request("POST", "/invocations", BLOG)
        logged.stop()
    (span,) = [each for each in collector.spans if not each.parent_span_id]
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert values(span)["error.type"] == "model_unavailable"


def test_a_collector_that_does_not_answer_holds_up_neither_answers_nor_the_end(
    tmp_path: Path,
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        serving(
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            OTEL_EXPORTER_OTLP_TIMEOUT="60",
        ) as logged,
    ):
        answer, _ = logged.ask(BLOG)
        assert answer.status == 200
        began = time.monotonic()
        logged.process.send_signal(signal.SIGTERM)
        assert logged.process.wait(30) == 0
        assert time.monotonic() - began < 20  # it would try for a minute


ASK = """
import sys
{before}
from serve import create_app
client = create_app().test_client()
for _ in range(2):
    assert client.post("/invocations", data=b'{{"text": "fine"}}').status_code == 200
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def ask(before: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Ask an application twice in a fresh interpreter, and return what that has imported."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK.format(before=before)],
        env={**os.environ, "MODEL_DIR": str(BUNDLED), "LOG_LEVEL": "warning", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize(
    "package", ["opentelemetry", "opentelemetry.exporter", "opentelemetry.sdk.trace.export"]
)
def test_a_missing_package_is_one_warning(package: str) -> None:
    found = ask(
        f"sys.modules[{package!r}] = None", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"
    )
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("no spans are sent, since a package is missing")


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    found = ask("")
    assert (found.stdout, found.stderr) == ("[]\n", "")
