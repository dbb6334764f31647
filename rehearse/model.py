"""Nothing in; what crosses from the cloud to the data plane, and back: data and errors.

PlaneError
  Throttled      more calls at once than MaxConcurrency
  NotReady       no environment became ready in time
  Oversize       a body over the limit of the platform
  ModelFailed    the container answered 4xx or 5xx, or nothing
  Unavailable    nothing serves: stopped, or a container that cannot be started
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Container:
    """What CreateModel says of a container; the model is an unpacked directory."""

    image: str
    model: Path | None
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Serverless:
    """ServerlessConfig of a production variant."""

    memory_mb: int
    max_concurrency: int
    provisioned: int = 0


@dataclass(frozen=True)
class Instance:
    """InstanceType and InitialInstanceCount of a production variant; one container is run."""

    kind: str
    count: int = 1


@dataclass(frozen=True)
class Variant:
    """One production variant of an endpoint, ready to run."""

    name: str
    container: Container
    spec: Serverless | Instance
    weight: float = 1.0


@dataclass(frozen=True)
class Call:
    """What of InvokeEndpoint reaches a container."""

    body: bytes
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    inference_id: str | None = None


@dataclass(frozen=True)
class Reply:
    """What of a container's answer reaches the client, and what it cost."""

    body: bytes
    content_type: str
    custom_attributes: str | None
    cold: bool
    billed_ms: int


@dataclass(frozen=True)
class Observation:
    """One call as metrics and the bill see it."""

    billed_ms: int = 0
    cold: bool = False
    setup_ms: float = 0.0  # start of an environment, until its first good ping
    model_us: int = 0  # from sending a request to a container to having its answer
    overhead_us: int = 0  # all the rest, cold start included
    throttled: bool = False
    status: int = 200  # of the container; 0 where it gave no answer
    spilled: bool = False  # went past provisioned concurrency
    memory_percent: float | None = None
    concurrency: int = 1  # calls at that moment, this one included
    bytes_in: int = 0
    bytes_out: int = 0


class PlaneError(Exception):
    """A call that no container has answered with success."""


class Throttled(PlaneError):
    """More calls at once than MaxConcurrency; nothing was started for this one."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"More calls at once than the MaxConcurrency of {limit}.")
        self.limit = limit


class NotReady(PlaneError):
    """An environment did not start, or did not answer a ping, in time."""


class Unavailable(PlaneError):
    """Nothing can serve; the message says why."""


class Oversize(PlaneError):
    """A request or an answer is larger than the platform passes on."""

    def __init__(self) -> None:
        # Seen at https://github.com/aws/sagemaker-python-sdk/issues/4271
        super().__init__(f"Request {uuid.uuid4()} has oversize body.")


class ModelFailed(PlaneError):
    """The container answered 4xx or 5xx, or gave no answer (original_status 0).

    `text` is the Message of the platform, without the link to the logs that it ends in.
    """

    def __init__(self, original_status: int, original_message: str, text: str) -> None:
        super().__init__(text)
        self.original_status = original_status
        self.original_message = original_message
        self.text = text
