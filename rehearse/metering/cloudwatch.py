"""Write metrics and logs of containers to moto's CloudWatch, where boto3 reads them as on AWS.

Namespaces, dimensions and units:
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends

from rehearse.container_engines.running_container import LONGEST_LINE
from rehearse.data_types import InvocationMetrics, ServerlessConfig, VariantConfig

ENDPOINT_NAMESPACE = "AWS/SageMaker"
CONTAINER_NAMESPACE = "/aws/sagemaker/Endpoints"
# Of metrics and of the log group.
TRAINING_NAMESPACE = "/aws/sagemaker/TrainingJobs"
TRANSFORM_GROUP = "/aws/sagemaker/TransformJobs"
# So much is kept, of a region and of a log stream: moto keeps all of it in memory. At the most, the
# older half is dropped. A thousand calls of the bundled model leave about 20,000 points.
MOST_POINTS = 200_000
MOST_EVENTS = 50_000
MOST_LOG_BYTES = 32 << 20
# moto's records are not made for several threads.
LOCK = threading.Lock()


class VariantMonitor:
    """Metrics and logs of one variant of an endpoint."""

    def __init__(
        self, arn: str, variant: str, stream: str, clock: Callable[[], float] = time.time
    ) -> None:
        _, _, _, self._region, self._account_id, name = arn.split(":", 5)
        self._endpoint = name.removeprefix("endpoint/")
        self._variant = variant
        # VARIANT/INSTANCE is the pattern of instances; that of serverless is undocumented.
        self._stream = f"{variant}/{stream}"
        self._clock = clock

    def log(self, line: str) -> None:
        """Write one line of a container's output, and the metrics in it."""
        group = f"{CONTAINER_NAMESPACE}/{self._endpoint}"
        write_log_event(self._account_id, self._region, group, self._stream, line, self._clock())
        for namespace, data in embedded_metrics(line):
            self._put(namespace, data)

    def observe(self, metrics: InvocationMetrics, config: VariantConfig) -> None:
        """Write the metrics of one invocation of the variant."""
        now = datetime.fromtimestamp(self._clock(), UTC).replace(tzinfo=None)
        dimensions = [
            {"Name": "EndpointName", "Value": self._endpoint},
            {"Name": "VariantName", "Value": self._variant},
        ]
        for namespace, data in _metrics(metrics, config):
            self._put(
                namespace,
                [
                    {"MetricName": name, "Value": value, "Unit": unit, "Timestamp": now}
                    | {"Dimensions": dimensions}
                    for name, value, unit in data
                ],
            )

    def _put(self, namespace: str, data: list[dict[str, Any]]) -> None:
        put_metric_data(self._account_id, self._region, namespace, data)


class TrainingMonitor:
    """Metrics and logs of one training job.

    https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html; the dimension is that
    which SageMaker's SDK 2 asks for (sagemaker/analytics.py, TrainingJobAnalytics).
    """

    def __init__(self, account_id: str, region: str, job: str, stream: str) -> None:
        self._account_id, self._region, self._job, self._stream = account_id, region, job, stream

    def log(self, line: str) -> None:
        """Write one line of the container's output."""
        write_log_event(
            self._account_id, self._region, TRAINING_NAMESPACE, self._stream, line, time.time()
        )

    def measure(self, name: str, value: float) -> None:
        """Write a value of one of the job's own metrics."""
        point = {
            "MetricName": name,
            "Value": value,
            "Unit": "None",
            "Timestamp": datetime.now(UTC).replace(tzinfo=None),
            "Dimensions": [{"Name": "TrainingJobName", "Value": self._job}],
        }
        put_metric_data(self._account_id, self._region, TRAINING_NAMESPACE, [point])


def put_metric_data(
    account_id: str, region: str, namespace: str, data: list[dict[str, Any]]
) -> None:
    """Write data points, in the form of PutMetricData."""
    with LOCK:
        backend = cloudwatch_backends[account_id][region]
        backend.put_metric_data(namespace, data)
        if len(backend.metric_data) > MOST_POINTS:
            del backend.metric_data[: MOST_POINTS // 2]


def write_log_event(
    account_id: str, region: str, group: str, stream: str, line: str, now: float
) -> None:
    """Write one log event; group and stream are made where they are missing."""
    backend = logs_backends[account_id][region]
    event = {"timestamp": int(now * 1000), "message": line[:LONGEST_LINE] or " "}
    with LOCK:
        backend.ensure_log_group(group)
        backend.ensure_log_stream(group, stream)
        backend.put_log_events(group, stream, [event])
        kept = backend.groups[group].streams[stream]
        if len(kept.events) > MOST_EVENTS or kept.stored_bytes > MOST_LOG_BYTES:
            dropped = kept.events[: (len(kept.events) + 1) // 2]
            del kept.events[: len(dropped)]
            kept.stored_bytes -= sum(len(each.message) for each in dropped)


def transform_logger(account_id: str, region: str) -> Callable[[str, str], None]:
    """Return what writes to the streams of transform jobs.

    https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
    """
    return lambda stream, line: write_log_event(
        account_id, region, TRANSFORM_GROUP, stream, line, time.time()
    )


# Name, value, unit.
Datum = tuple[str, float, str]


def _metrics(
    metrics: InvocationMetrics, config: VariantConfig
) -> Iterator[tuple[str, list[Datum]]]:
    """Yield each namespace with its data points of one invocation."""
    yield ENDPOINT_NAMESPACE, list(_endpoint_metrics(metrics, config))
    if metrics.memory_percent is not None:
        yield CONTAINER_NAMESPACE, [("MemoryUtilization", metrics.memory_percent, "Percent")]


def _endpoint_metrics(metrics: InvocationMetrics, config: VariantConfig) -> Iterator[Datum]:
    yield "Invocations", 1, "None"
    # Throttled calls reach no model; there is no metric of them.
    if not metrics.throttled:
        yield "Invocation4XXErrors", float(400 <= metrics.status < 500), "None"
        yield "Invocation5XXErrors", float(not metrics.status or metrics.status >= 500), "None"
        if metrics.model_us:  # a model has seen it
            yield "ModelLatency", metrics.model_us, "Microseconds"
        yield "OverheadLatency", metrics.overhead_us, "Microseconds"
    if metrics.cold:
        yield "ModelSetupTime", metrics.setup_ms * 1000, "Microseconds"
    if not isinstance(config, ServerlessConfig):
        return
    used = metrics.concurrency / config.max_concurrency
    yield "ServerlessConcurrentExecutionsUtilization", min(used, 1.0), "None"
    if config.provisioned_concurrency:
        held = min(metrics.concurrency, config.provisioned_concurrency)
        name = "ServerlessProvisionedConcurrency"
        yield f"{name}Executions", held, "Count"
        yield f"{name}Utilization", held / config.provisioned_concurrency, "None"
        if not metrics.throttled:
            yield f"{name}Invocations", float(not metrics.spilled), "Count"
            yield f"{name}SpilloverInvocations", float(metrics.spilled), "Count"


def embedded_metrics(line: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return namespaces with the data points that a log line holds, as PutMetricData takes them.

    Most lines hold none. The embedded metric format:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    if '"_aws"' not in line:
        return []
    try:
        members = json.loads(line)
        about = members["_aws"]
        when = datetime.fromtimestamp(about["Timestamp"] / 1000, UTC).replace(tzinfo=None)
        return [
            (str(directive["Namespace"]), list(_embedded_data(members, directive, when)))
            for directive in about["CloudWatchMetrics"]
        ]
    except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
        return []


def _embedded_data(
    members: Mapping[str, Any], directive: Mapping[str, Any], when: datetime
) -> Iterator[dict[str, Any]]:
    """Yield a data point for each value of each metric, under each set of dimensions."""
    for names in directive["Dimensions"]:
        dimensions = [{"Name": name, "Value": str(members[name])} for name in names]
        for metric in directive["Metrics"]:
            found = members[metric["Name"]]
            for value in map(float, found if isinstance(found, list) else [found]):
                if math.isfinite(value):
                    yield {
                        "MetricName": metric["Name"],
                        "Value": value,
                        "Unit": metric.get("Unit", "None"),
                        "Timestamp": when,
                        "Dimensions": dimensions,
                    }
