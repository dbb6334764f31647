"""Observations and log lines of fleets in; CloudWatch metrics and log streams of moto out.

Both are read with boto3, as on AWS. Namespaces, dimensions and units:
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch import models
from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends

from rehearse.engines.lines import LONGEST
from rehearse.metering import emf
from rehearse.model import Instance, Observation, Serverless

NAMESPACE = "AWS/SageMaker"
CONTAINER_NAMESPACE = "/aws/sagemaker/Endpoints"
TRANSFORM_GROUP = "/aws/sagemaker/TransformJobs"
FILTER: Any = models.MetricDatumBase.filter
# moto's records are not made for several threads.
LOCK = threading.Lock()


class Watch:
    """Metrics and logs of one variant of an endpoint."""

    def __init__(
        self, arn: str, variant: str, stream: str, clock: Callable[[], float] = time.time
    ) -> None:
        _, _, _, self._region, self._account, name = arn.split(":", 5)
        self._endpoint = name.removeprefix("endpoint/")
        self._variant = variant
        # VARIANT/INSTANCE is the pattern of instances; that of serverless is undocumented.
        self._stream = f"{variant}/{stream}"
        self._clock = clock

    def log(self, line: str) -> None:
        """One line of a container's output, and the metrics in it."""
        group = f"{CONTAINER_NAMESPACE}/{self._endpoint}"
        write(self._account, self._region, group, self._stream, line, self._clock())
        for namespace, data in emf.metrics(line):
            with LOCK:
                cloudwatch_backends[self._account][self._region].put_metric_data(namespace, data)

    def observe(self, seen: Observation, spec: Serverless | Instance) -> None:
        """One call of the variant."""
        now = datetime.fromtimestamp(self._clock(), UTC).replace(tzinfo=None)
        backend = cloudwatch_backends[self._account][self._region]
        dimensions = [
            {"Name": "EndpointName", "Value": self._endpoint},
            {"Name": "VariantName", "Value": self._variant},
        ]
        for namespace, data in metrics(seen, spec):
            made = [
                {"MetricName": name, "Value": value, "Unit": unit, "Timestamp": now}
                | {"Dimensions": dimensions}
                for name, value, unit in data
            ]
            with LOCK:
                backend.put_metric_data(namespace, made)


def write(account: str, region: str, group: str, stream: str, line: str, now: float) -> None:
    """One log event; group and stream are made where they are missing."""
    backend = logs_backends[account][region]
    event = {"timestamp": int(now * 1000), "message": line[:LONGEST] or " "}
    with LOCK:
        backend.ensure_log_group(group)
        backend.ensure_log_stream(group, stream)
        backend.put_log_events(group, stream, [event])


def transform_logger(account: str, region: str) -> Callable[[str, str], None]:
    """What writes the streams of transform jobs.

    https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
    """
    return lambda stream, line: write(account, region, TRANSFORM_GROUP, stream, line, time.time())


def install() -> None:
    """Let ListMetrics name a metric once.

    moto 5.2.5 compares every dimension of one metric with every one of another, so two metrics of
    two dimensions are never the same to it, nor are two of none.
    """
    models.are_dimensions_same = same_dimensions
    base: Any = models.MetricDatumBase
    base.filter = unlisted


def same_dimensions(
    metric_dimensions: list[models.Dimension], dimensions: list[models.Dimension]
) -> bool:
    """Do two metrics have the same dimensions, in whatever order?"""
    return sorted(map(_pair, metric_dimensions)) == sorted(map(_pair, dimensions))


def unlisted(metric: Any, *asked: Any, **named: Any) -> bool:
    """Is a metric one of those that are asked for, and not yet among those that are present?"""
    present = named.get("already_present_metrics") or ()
    if not metric.dimensions and any(
        not each.dimensions and (each.namespace, each.name) == (metric.namespace, metric.name)
        for each in present
    ):
        return False
    return bool(FILTER(metric, *asked, **named))


def _pair(dimension: models.Dimension) -> tuple[str, str]:
    return str(dimension.name), str(dimension.value)


Datum = tuple[str, float, str]


def metrics(seen: Observation, spec: Serverless | Instance) -> Iterator[tuple[str, list[Datum]]]:
    """Namespace and data points of one call."""
    yield NAMESPACE, list(_endpoint_metrics(seen, spec))
    if seen.memory_percent is not None:
        yield CONTAINER_NAMESPACE, [("MemoryUtilization", seen.memory_percent, "Percent")]


def _endpoint_metrics(seen: Observation, spec: Serverless | Instance) -> Iterator[Datum]:
    yield "Invocations", 1, "None"
    # Throttled calls reach no model; there is no metric of them.
    if not seen.throttled:
        yield "Invocation4XXErrors", float(400 <= seen.status < 500), "None"
        yield "Invocation5XXErrors", float(not seen.status or seen.status >= 500), "None"
        if seen.model_us:  # a model has seen it
            yield "ModelLatency", seen.model_us, "Microseconds"
        yield "OverheadLatency", seen.overhead_us, "Microseconds"
    if seen.cold:
        yield "ModelSetupTime", seen.setup_ms * 1000, "Microseconds"
    if not isinstance(spec, Serverless):
        return
    used = seen.concurrency / spec.max_concurrency
    yield "ServerlessConcurrentExecutionsUtilization", min(used, 1.0), "None"
    if spec.provisioned:
        held = min(seen.concurrency, spec.provisioned)
        name = "ServerlessProvisionedConcurrency"
        yield f"{name}Executions", held, "Count"
        yield f"{name}Utilization", held / spec.provisioned, "None"
        if not seen.throttled:
            yield f"{name}Invocations", float(not seen.spilled), "Count"
            yield f"{name}SpilloverInvocations", float(seen.spilled), "Count"
