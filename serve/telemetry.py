"""Write one line of JSON about each request to stdout, with metrics in it.

CloudWatch keeps the lines (Logs Insights reads their fields) and makes metrics of those that have
an `_aws` member: serve/metrics.py. Lines are written before the answer is sent, since the platform
may freeze the process right after it. No line holds anything of a record.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from model_handler import Handler
from serve import metrics, tracing
from serve.request_summary import RequestSummary
from serve.settings import Settings

if TYPE_CHECKING:
    from serve.user_code import UserCode

log = logging.getLogger(__name__)

STAGES = ("read", "parse", "queue", "tokenise", "infer", "write")
WINDOW_SECONDS = 60.0


class Telemetry:
    """Writes the lines; none at all when the log level is above info."""

    def __init__(self, settings: Settings, handler: Handler | UserCode) -> None:
        self._settings = settings
        self._handler = handler
        self._window = metrics.Window(WINDOW_SECONDS, self._metrics_line)
        self._on = logging.getLevelName(settings.log_level.upper()) <= logging.INFO
        self._emf = settings.metrics == "emf"
        self._first = threading.Lock()  # taken for good by the first prediction
        self._spans = tracing.provider()

    def report(self, summary: RequestSummary, status: int, size: int) -> None:
        """Write the line of a request that is answered with this status and so many bytes."""
        total = time.monotonic() - summary.began
        if self._spans is not None:
            tracing.record(self._spans, summary, status, total)
        if not self._on:
            return
        now = time.time()
        if (summary.predictions or summary.by_code) and self._first.acquire(blocking=False):
            self._metrics_line(metrics.start(self._handler, self._settings.started), now)
        line = _request_line(summary, status, size, total) | {"engine": self._handler.status.engine}
        if summary.predictions:
            found = metrics.count(summary.predictions)
            line |= _predicted(found)
            if self._emf:
                line |= self._embed(metrics.request(summary.records, summary.usage), now)
                known = [] if found.values else list(map(str, self._handler.status.labels))
                self._window.add(found, known)
        if summary.by_code and self._emf:
            line |= self._embed(metrics.call(summary.usage), now)
        _write(line)

    def close(self) -> None:
        """Write what has been counted and not written yet, and send the spans that wait."""
        self._window.close()
        if self._spans is not None:
            tracing.close(self._spans)

    def _metrics_line(self, values: metrics.Values, at: float) -> None:
        if self._on and self._emf:
            _write({"event": "metrics", "time": round(at, 3), **self._embed(values, at)})

    def _embed(self, values: metrics.Values, at: float) -> dict[str, Any]:
        return metrics.embed(values, self._settings.endpoint_name, at)


def _request_line(
    summary: RequestSummary, status: int, size: int, seconds: float
) -> dict[str, Any]:
    """Return the fields of a line that all requests have, but for the engine."""
    usage, stages = summary.usage, summary.stages
    return {
        "event": "request",
        "time": round(summary.time, 3),
        "request_id": summary.request_id,
        "inference_id": summary.inference_id,
        "custom_attributes": summary.attributes,
        "route": summary.route,
        "status": status,
        "code": summary.code,
        "records": summary.records,
        "bad_records": summary.bad_records,
        "tokens": usage.tokens,
        "truncated": usage.truncated,
        "unknown": usage.unknown,
        "bytes_in": summary.bytes_in,
        "bytes_out": size,
        **{f"{name}_ms": round(1000 * stages.get(name, 0.0), 2) for name in STAGES},
        "total_ms": round(1000 * seconds, 2),
        "cold": usage.cold,
    }


def _predicted(found: metrics.PredictionCounts) -> dict[str, Any]:
    """Return the fields of a line about what was predicted; which there are depends on the task."""
    if found.values:
        means = {name: round(total / found.records, 4) for name, total in found.values.items()}
        return {"values": means}
    if found.confidence is None:
        return {"labels": found.labels}
    return {"labels": found.labels, "confidence": round(found.confidence / found.records, 4)}


def _write(line: dict[str, Any]) -> None:
    try:
        # One call, so that lines of two threads do not mix.
        sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
        sys.stdout.flush()
    except OSError as error:  # an answer is worth more than its line
        log.warning("a request could not be logged: %s", error.strerror)
