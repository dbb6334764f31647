"""Send OpenTelemetry spans of each request and its stages, where an exporter is set up.

`pip install '.[otel]'` and OTEL_EXPORTER_OTLP_ENDPOINT turn it on; the other variables that begin
with OTEL_ hold, too: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from serve.request_summary import RequestSummary

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# A collector that does not answer holds up the end of a server for this long, and not for the ten
# seconds that the exporter would try.
CLOSE_SECONDS = 2.0


def provider() -> Any:
    """Return OpenTelemetry's provider; None when no endpoint is set or a package is missing."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("no spans are sent, since a package is missing (%s): install [otel]", error)
        return None
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def close(provider: Any) -> None:
    """Send the spans that wait; they leave in batches, seconds after the requests."""
    last = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
    last.start()
    last.join(CLOSE_SECONDS)


def record(provider: Any, summary: RequestSummary, status: int, seconds: float) -> None:
    """Make a span for the request, and one for each of its stages, one behind the other."""
    from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

    tracer = provider.get_tracer("serve")
    at = int(summary.time * 1e9)
    attributes = {
        "http.route": summary.route,
        "http.response.status_code": status,
        "request_id": summary.request_id,
        "inference_id": summary.inference_id,
        "records": summary.records,
        "tokens": summary.usage.tokens,
        "cold": summary.usage.cold,
        **({"error.type": summary.code} if summary.code else {}),
    }
    span = tracer.start_span(
        summary.route, kind=SpanKind.SERVER, start_time=at, attributes=attributes
    )
    if status >= 500:  # https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status
        span.set_status(StatusCode.ERROR)
    context = set_span_in_context(span)
    begin = at
    for name, took in summary.stages.items():
        stage = tracer.start_span(name, context=context, start_time=begin)
        begin += int(took * 1e9)
        stage.end(end_time=begin)
    span.end(end_time=at + int(seconds * 1e9))
