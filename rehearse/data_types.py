"""The data that the control plane, the data plane, the metrics and the bill pass to each other.

Classes are named after the shapes of SageMaker's API where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# What runs containers.
ENGINES = ("docker", "process")


@dataclass(frozen=True)
class ContainerDefinition:
    """What CreateModel says of a container; the model artifacts lie unpacked in a directory."""

    image: str
    model_dir: Path | None
    environment: Mapping[str, str]


@dataclass(frozen=True)
class TrainingContainer:
    """What CreateTrainingJob says of a container; `folder` is what it sees as /opt/ml.

    Without an entry point that of the image runs.
    """

    image: str
    folder: Path
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ("train",)
    isolated: bool = False  # from every network


@dataclass(frozen=True)
class ServerlessConfig:
    """ServerlessConfig of a production variant."""

    memory_mb: int
    max_concurrency: int
    provisioned_concurrency: int = 0


@dataclass(frozen=True)
class InstanceConfig:
    """InstanceType and InitialInstanceCount of a production variant; one container is run."""

    instance_type: str
    count: int = 1


VariantConfig = ServerlessConfig | InstanceConfig


@dataclass(frozen=True)
class DataCapture:
    """DataCaptureConfig of an endpoint configuration with instances."""

    destination: str  # the address in S3 below which is written
    percentage: float  # of the calls
    modes: frozenset[str]  # of "Input" and "Output"
    csv_types: frozenset[str] = frozenset()
    json_types: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ProductionVariant:
    """One production variant of an endpoint, ready to run."""

    name: str
    container: ContainerDefinition
    config: VariantConfig
    weight: float = 1.0
    capture: DataCapture | None = None


@dataclass(frozen=True)
class Invocation:
    """The part of an InvokeEndpoint request that reaches a container."""

    body: bytes
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    inference_id: str | None = None


@dataclass(frozen=True)
class InvocationResponse:
    """The part of a container's answer that reaches the client, and what it cost."""

    body: bytes
    content_type: str
    custom_attributes: str | None
    cold: bool
    billed_ms: int


@dataclass(frozen=True)
class InvocationMetrics:
    """What CloudWatch and the bill are told of one invocation."""

    billed_ms: int = 0
    cold: bool = False
    setup_ms: float = 0.0  # start of an environment, until its first good ping
    model_us: int = 0  # from sending a request to a container to having its answer
    overhead_us: int = 0  # all the rest, cold start included
    throttled: bool = False
    status: int = 200  # of the container; 0 where it gave no answer
    spilled: bool = False  # exceeded the provisioned concurrency
    memory_percent: float | None = None
    concurrency: int = 1  # invocations at that moment, this one included
    bytes_in: int = 0
    bytes_out: int = 0
