"""Send one invocation to a container; make the platform's response or error of what it answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rehearse.container_engines import RunningContainer
from rehearse.data_types import Invocation, InvocationResponse
from rehearse.errors import ModelError, Oversize

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# Message and OriginalMessage, status 0 for no answer. The first was seen on a serverless endpoint:
# https://github.com/RamVegiraju/SageMaker-Deployment/issues/3
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
# Seen on serverless endpoints, "from model", as FailureReason, too.
EXITED = "An error occurred while handling request as the model process exited."
# Only "insufficient memory" is known: https://github.com/aws-samples/
# sagemaker-serverless-inference-benchmarking tells this error by these words.
NO_MEMORY = "The model container has insufficient memory; choose a larger MemorySizeInMB."


@dataclass(frozen=True)
class ContainerAnswer:
    """What a container answered; where nothing came, status 0 and the platform's words as body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    source: str = "primary"

    @property
    def lost(self) -> bool:
        """Whether the container gave no answer."""
        return self.status == 0

    def header(self, name: str) -> str | None:
        """Return a header, whatever its case."""
        for found, value in self.headers.items():
            if found.lower() == name.lower():
                return value
        return None


NO_ANSWER = ContainerAnswer(0, {}, EXITED.encode(), "model")


def check_size(body: bytes, largest: int) -> None:
    """Raise Oversize; the limit of answers is documented, not what becomes of a larger one."""
    if len(body) > largest:
        raise Oversize


def send(
    container: RunningContainer, invocation: Invocation, seconds: float, clock: Callable[[], float]
) -> tuple[ContainerAnswer, float]:
    """Return the answer of a container, and when it came by that clock."""
    begun = time.time()
    headers = request_headers(invocation)
    try:
        found = container.request("POST", "/invocations", invocation.body, headers, seconds)
    except TimeoutError:
        return ContainerAnswer(0, {}, TIMED_OUT.encode()), clock()
    except OSError:
        done = clock()
        words = NO_MEMORY if container.out_of_memory(begun) else EXITED
        return ContainerAnswer(0, {}, words.encode(), "model"), done
    return ContainerAnswer(*found), clock()


def request_headers(invocation: Invocation) -> dict[str, str]:
    """Return the headers that the container gets; what the client has not sent is not made up.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html: all
    headers but those of InvokeEndpoint are stripped.
    """
    given = {
        "Content-Type": invocation.content_type,
        "Accept": invocation.accept,
        CUSTOM_ATTRIBUTES: invocation.custom_attributes,
        "X-Amzn-SageMaker-Inference-Id": invocation.inference_id,
    }
    return {name: value for name, value in given.items() if value}


def check_answer(answer: ContainerAnswer, characters: int) -> None:
    """Raise ModelError where there is no answer, or 4xx or 5xx.

    The words: https://github.com/aws/amazon-sagemaker-examples/issues/235 and, for a body that is
    no text or too long, https://github.com/aws/amazon-sagemaker-examples/issues/4324
    """
    if answer.status and answer.status < 400:
        return
    side = "client" if 400 <= answer.status < 500 else "server"
    text = f"Received {side} error ({answer.status}) from {answer.source}"
    try:
        message = answer.body.decode()
    except UnicodeDecodeError:
        message = ""
    if (not message and answer.body) or len(message) > characters:
        text += " and could not load the entire response body"
    else:
        text += f' with message "{message}"'
    raise ModelError(answer.status, message[:characters], f"{text}.")


def to_response(answer: ContainerAnswer, cold: bool, billed_ms: int) -> InvocationResponse:
    """Return what of a good answer reaches the client.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """
    return InvocationResponse(
        body=answer.body,
        content_type=answer.header("Content-Type") or "",
        custom_attributes=answer.header(CUSTOM_ATTRIBUTES),
        cold=cold,
        billed_ms=billed_ms,
    )


def billed_milliseconds(seconds: float, setup_ms: float = 0.0) -> int:
    """Return the milliseconds billed, begun ones in full.

    https://aws.amazon.com/sagemaker/pricing/
    """
    return max(math.ceil(seconds * 1e3 + setup_ms), 1)
