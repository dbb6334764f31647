"""Write one line of JSON about each request to stdout, with metrics in it.

CloudWatch keeps the lines (Logs Insights reads their fields) and makes metrics of those that have
an `_aws` member: serve/metrics.py. Lines are written before the answer is sent, since the platform
may freeze the process right after it. No line holds anything of a record.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from model_handler import Handler, Output, Usage
from serve import metrics, tracing
from serve.settings import Settings

if TYPE_CHECKING:
    from serve.user_code import UserCode

log = logging.getLogger(__name__)

STAGES = ("read", "parse", "queue", "tokenise", "infer", "write")
WINDOW_SECONDS = 60.0


@dataclass
class Account:
    """What is known of one request so far; seconds for each stage."""

    route: str
    inference_id: str
    attributes: str
    request_id: str = field(default_factory=lambda: os.urandom(16).hex())
    began: float = field(default_factory=time.monotonic)
    time: float = field(default_factory=time.time)
    bytes_in: int = 0
    records: int = 0
    bad_records: int = 0
    usage: Usage = field(default_factory=Usage)
    predictions: Sequence[Output] = ()
    by_code: bool = False  # answered by code of the owner's, which alone knows of predictions
    code: str | None = None  # of the error, if it was one
    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = time.monotonic() - began

    def received(self, size: int, began: float) -> None:
        """Take over the size of the body, and when the first byte of the request came."""
        self.bytes_in = size
        self.time -= self.began - began
        self.began = began
        self.stages["read"] = time.monotonic() - began

    def scored(self, usage: Usage, predictions: Sequence[Output]) -> None:
        """Take over what scoring took."""
        # What needs the model before there is anything to score waits for its load, too.
        self.usage = replace(usage, queue=self.stages.get("queue", 0.0) + usage.queue)
        self.predictions = predictions
        self.stages |= {
            "queue": self.usage.queue,
            "tokenise": usage.tokenise,
            "infer": usage.infer,
        }

    @property
    def model_ms(self) -> float:
        """Milliseconds from texts to predictions."""
        return round(1000 * (self.usage.tokenise + self.usage.infer), 1)


class Telemetry:
    """Writes the lines; nothing at all when the log level is above info."""

    def __init__(
        self,
        settings: Settings,
        handler: Handler | UserCode,
        window: float = WINDOW_SECONDS,
    ) -> None:
        self._settings = settings
        self._handler = handler
        self._window = metrics.Window(window, self._metrics_line)
        self._on = logging.getLevelName(settings.log_level.upper()) <= logging.INFO
        self._emf = settings.metrics == "emf"
        self._first = threading.Lock()  # taken for good by the first prediction
        self._spans = tracing.provider()

    def report(self, account: Account, status: int, size: int) -> None:
        """A request has been answered, with so many bytes."""
        total = time.monotonic() - account.began
        if self._spans is not None:
            tracing.record(self._spans, account, status, total)
        if not self._on:
            return
        if (account.predictions or account.by_code) and self._first.acquire(blocking=False):
            self._metrics_line(metrics.start(self._handler, self._settings.started))
        usage = account.usage
        line: dict[str, Any] = {
            "event": "request",
            "time": round(account.time, 3),
            "request_id": account.request_id,
            "inference_id": account.inference_id,
            "custom_attributes": account.attributes,
            "route": account.route,
            "status": status,
            "code": account.code,
            "records": account.records,
            "bad_records": account.bad_records,
            "tokens": usage.tokens,
            "truncated": usage.truncated,
            "unknown": usage.unknown,
            "bytes_in": account.bytes_in,
            "bytes_out": size,
            **{f"{name}_ms": round(1000 * account.stages.get(name, 0.0), 2) for name in STAGES},
            "total_ms": round(1000 * total, 2),
            "cold": usage.cold,
            "engine": self._handler.status.engine,
        }
        if account.predictions:
            found = metrics.tally(account.predictions)
            line |= _predicted(found)
            if self._emf:
                line |= self._embed(metrics.request(account.records, usage))
                known = [] if found.values else list(map(str, self._handler.status.labels))
                self._window.add(found, known)
        if account.by_code and self._emf:
            line |= self._embed(metrics.call(usage))
        _write(line)

    def close(self) -> None:
        """Write what has been counted and not written yet, and send the spans that wait."""
        self._window.close()
        if self._spans is not None:
            tracing.close(self._spans)

    def _metrics_line(self, values: metrics.Values) -> None:
        if self._on and self._emf:
            _write({"event": "metrics", "time": round(time.time(), 3), **self._embed(values)})

    def _embed(self, values: metrics.Values) -> dict[str, Any]:
        return metrics.embed(values, self._settings.endpoint_name)


def _predicted(found: metrics.Tally) -> dict[str, Any]:
    """The fields of a line about what was predicted; which there are depends on the task."""
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
