"""Counts and times in, members of a log line that CloudWatch makes metrics of out.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from model_handler import Handler, Usage

if TYPE_CHECKING:
    from serve.user_code import UserCode

NAMESPACE = "ServerlessSentiment"


@dataclass(frozen=True)
class Values:
    """Metrics by name, each with its unit, and their dimensions."""

    metrics: Mapping[str, tuple[float, str]]
    dimensions: Mapping[str, str] = field(default_factory=dict)


def embed(values: Values, endpoint: str) -> dict[str, Any]:
    """The members of a log line; `endpoint` is one more dimension, unless it is empty."""
    dimensions = {**({"EndpointName": endpoint} if endpoint else {}), **values.dimensions}
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in values.metrics.items()],
    }
    return {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        **dimensions,
        **{name: round(value, 4) for name, (value, _) in values.metrics.items()},
    }


def start(handler: Handler | UserCode, started: float) -> Values:
    """What a process tells once, after its first prediction."""
    return Values(
        {
            "ModelLoadTime": (1000 * (handler.load_seconds or 0.0), "Milliseconds"),
            "TimeToFirstPrediction": (1000 * (time.monotonic() - started), "Milliseconds"),
        }
    )


def request(records: int, usage: Usage) -> Values:
    """What each scored request tells."""
    return Values(
        {
            **call(usage).metrics,
            "RecordsPerRequest": (records, "Count"),
            "TokensPerRecord": (usage.tokens / max(1, usage.different), "Count"),
            "TruncatedRecords": (usage.truncated, "Count"),
        }
    )


def call(usage: Usage) -> Values:
    """What each request tells that your own code has answered: it alone knows of records."""
    return Values(
        {
            "QueueTime": (1000 * usage.queue, "Milliseconds"),
            "InferenceTime": (1000 * (usage.tokenise + usage.infer), "Milliseconds"),
        }
    )


class Window:
    """Counts predictions for a minute, then tells each label's share, and the mean probability.

    The first request is told at once: on serverless a process may never see a second one, nor the
    end of its minute.
    """

    def __init__(self, seconds: float, tell: Callable[[Values], None]) -> None:
        self._seconds = seconds
        self._tell = tell
        self._lock = threading.Lock()
        self._telling = threading.Lock()  # so that who closes last leaves nothing half told
        self._labels: Counter[str] = Counter()
        self._confidence = 0.0
        self._first = True
        self._running = False  # a timer, which will tell what is counted

    def add(self, labels: Mapping[str, int], confidence: float, known: Sequence[str]) -> None:
        """Predictions by label, the sum of their probabilities, and all labels of the model."""
        with self._lock:
            self._labels.update({**dict.fromkeys(known, 0), **labels})
            self._confidence += confidence
            first, self._first = self._first, False
            if not self._running:
                self._running = True
                timer = threading.Timer(self._seconds, self._end)
                timer.daemon = True
                timer.start()
        if first:
            self.close()

    def _end(self) -> None:
        with self._lock:  # before telling, or what comes meanwhile would have no timer
            self._running = False
        self.close()

    def close(self) -> None:
        """Tell what was counted, if anything was, and begin anew."""
        with self._telling:
            self._tell_all()

    def _tell_all(self) -> None:
        with self._lock:
            labels, confidence = self._labels, self._confidence
            self._labels, self._confidence = Counter(), 0.0
        total = sum(labels.values())
        if not total:
            return
        for label, count in labels.items():
            share = {"LabelShare": (count / total, "None")}
            self._tell(Values({**share, "Predictions": (count, "Count")}, {"Label": label}))
        self._tell(Values({"MeanConfidence": (confidence / total, "None")}))
