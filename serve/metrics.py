"""Put counts and times into a log line as CloudWatch wants them, which makes metrics of them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from model_handler import Handler, Labels, Output, Prediction, Usage
from serve.settings import STILL_SECONDS

if TYPE_CHECKING:
    from serve.user_code import UserCode

NAMESPACE = "ServerlessSentiment"


class Values(NamedTuple):
    """Metrics by name, each with its unit, and their dimensions."""

    metrics: Mapping[str, tuple[float, str]]
    dimensions: Mapping[str, str] = {}  # of a type without methods to change it


def embed(values: Values, endpoint: str, at: float) -> dict[str, Any]:
    """Return the members of a log line about this time, in seconds since 1970.

    `endpoint` is one more dimension, unless it is empty.
    """
    dimensions = {**({"EndpointName": endpoint} if endpoint else {}), **values.dimensions}
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in values.metrics.items()],
    }
    return {
        "_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]},
        **dimensions,
        **{name: round(value, 4) for name, (value, _) in values.metrics.items()},
    }


def start(handler: Handler | UserCode, started: float) -> Values:
    """Return the metrics of a start, which are written once, after the first prediction."""
    return Values(
        {
            "ModelLoadTime": (1000 * (handler.status.load_seconds or 0.0), "Milliseconds"),
            "TimeToFirstPrediction": (1000 * (time.monotonic() - started), "Milliseconds"),
        }
    )


def request(records: int, usage: Usage) -> Values:
    """Return the metrics of a request whose records were scored."""
    return Values(
        {
            **call(usage).metrics,
            "RecordsPerRequest": (records, "Count"),
            "TokensPerRecord": (usage.tokens / max(1, usage.different), "Count"),
            "TruncatedRecords": (usage.truncated, "Count"),
            "UnknownRecords": (usage.unknown, "Count"),
        }
    )


def call(usage: Usage) -> Values:
    """Return the metrics of a request to the owner's code, which alone knows of records."""
    return Values(
        {
            "QueueTime": (1000 * usage.queue, "Milliseconds"),
            "InferenceTime": (1000 * (usage.tokenise + usage.infer), "Milliseconds"),
        }
    )


class PredictionCounts:
    """What was predicted for some records: how often each label, and sums to make means of.

    `confidence` is the sum of a model that gives one label, `values` are sums of one that gives
    values.
    """

    def __init__(
        self,
        records: int = 0,
        labels: Mapping[str, int] | None = None,
        confidence: float | None = None,
    ) -> None:
        self.records = records
        self.labels = Counter(labels)
        self.confidence = confidence
        self.values: dict[str, float] = {}

    def add(self, other: PredictionCounts) -> None:
        """Add what was predicted for others."""
        self.records += other.records
        self.labels.update(other.labels)  # labels that were predicted 0 times as well
        for label, total in other.values.items():
            self.values[label] = self.values.get(label, 0.0) + total
        if other.confidence is not None:
            self.confidence = (self.confidence or 0.0) + other.confidence

    def metrics(self) -> list[Values]:
        """Make metrics of them: shares and counts of labels, means of the rest."""
        found = [
            Values(
                {
                    "LabelShare": (count / self.records, "None"),
                    "Predictions": (count, "Count"),
                },
                {"Label": label},
            )
            for label, count in self.labels.items()
        ]
        found += [
            Values({"MeanValue": (total / self.records, "None")}, {"Label": label})
            for label, total in self.values.items()
        ]
        if self.confidence is not None:
            found.append(Values({"MeanConfidence": (self.confidence / self.records, "None")}))
        return found


def count(predictions: Sequence[Output]) -> PredictionCounts:
    """Count what was predicted."""
    found = PredictionCounts(len(predictions))
    for each in predictions:
        if isinstance(each, Prediction):
            found.labels[str(each.predicted_label)] += 1
            found.confidence = (found.confidence or 0.0) + each.probability
        elif isinstance(each, Labels):
            found.labels.update(map(str, each.predicted_labels))
        else:
            for label, value in each.predicted_values.items():
                found.values[str(label)] = found.values.get(str(label), 0.0) + value
    return found


class Window:
    """Counts predictions, and passes their metrics on about once a minute.

    A request that comes when the minute is over passes them on itself, its own with them, before it
    is answered: a serverless process stands still until the next request, and may never see one.
    Only what is counted in the minute after that waits for a timer. `write` also gets the time of
    the last prediction, which may be long ago.
    """

    def __init__(
        self,
        seconds: float,
        write: Callable[[Values, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # so that whoever closes last leaves nothing half written
        self._counts = PredictionCounts()
        self._counted = 0.0  # the time of the last
        self._over = -math.inf  # when the minute is over, by the clock
        self._running = False  # a timer, which will write what is counted

    def add(self, found: PredictionCounts, known: Sequence[str]) -> None:
        """Add predictions; of a model with these labels, if it gives any."""
        with self._lock:
            self._counts.add(PredictionCounts(labels=dict.fromkeys(known, 0)))
            self._counts.add(found)
            self._counted, now = time.time(), self._clock()
            is_over = now >= self._over
            if is_over:
                self._over = now + self._seconds
            elif not self._running:
                self._running = True
                timer = threading.Timer(self._over - now, self._end)
                timer.daemon = True
                timer.start()
        if is_over:
            self.close()

    def _end(self) -> None:
        with self._lock:  # before writing, or what comes meanwhile would have no timer
            self._running = False
            # Not if a request was faster, nor if the process stood still, and one is about to come.
            if 0 <= self._clock() - self._over < STILL_SECONDS:
                self._over += self._seconds
        self.close()

    def close(self) -> None:
        """Pass on what was counted, if anything was, and begin anew."""
        with self._writing:
            self._write_all()

    def _write_all(self) -> None:
        with self._lock:
            found, self._counts = self._counts, PredictionCounts()
            counted = self._counted
        for values in found.metrics() if found.records else ():
            self._write(values, counted)
