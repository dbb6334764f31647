"""What happened to a request in, OpenTelemetry spans out; nothing unless an exporter is set up.

`pip install '.[otel]'` and OTEL_EXPORTER_OTLP_ENDPOINT turn it on; the other variables that begin
with OTEL_ hold, too: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve.telemetry import Account

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def tracer() -> Any:
    """An OpenTelemetry tracer, or None when no endpoint is set or the packages are missing."""
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
    return provider.get_tracer("serve")


def record(tracer: Any, account: Account, status: int, seconds: float) -> None:
    """One span for the request, and one for each of its stages, one behind the other."""
    from opentelemetry.trace import SpanKind, set_span_in_context

    at = int(account.time * 1e9)
    attributes = {
        "http.route": account.route,
        "http.response.status_code": status,
        "request_id": account.request_id,
        "inference_id": account.inference_id,
        "records": account.records,
        "tokens": account.usage.tokens,
        "cold": account.usage.cold,
    }
    span = tracer.start_span(
        account.route, kind=SpanKind.SERVER, start_time=at, attributes=attributes
    )
    context = set_span_in_context(span)
    begin = at
    for name, took in account.stages.items():
        stage = tracer.start_span(name, context=context, start_time=begin)
        begin += int(took * 1e9)
        stage.end(end_time=begin)
    span.end(end_time=at + int(seconds * 1e9))
