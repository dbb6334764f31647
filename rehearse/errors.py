"""Every error that the rehearsal raises itself.

RehearsalError
|- CannotStart             the rehearsal cannot start, or its bill cannot be asked for
|  `- PricesError          the file of prices cannot be used
|     `- UnknownRegion     the file has no prices of a region
|- InputError              a file that a command is given cannot be used
|- ContainerEngineError    a container cannot be started, or no Docker engine answers
|- ArtifactError           the model artifacts cannot be fetched or unpacked
|- RehearsalEnds           something is started while everything is being stopped
|- InvocationError         an invocation that no container has answered with success
|  |- Throttled            more at once than MaxConcurrency
|  |- ModelNotReady        no environment has become ready in time
|  |- Oversize             a body is larger than the platform passes on
|  |- ModelError           the container has answered 4xx or 5xx, or nothing
|  |- ServiceUnavailable   nothing can serve now
|  `- VariantReplaced      an update has put another variant in its place; InvokeEndpoint asks that
|- FilterPatternError      a filter pattern of CloudWatch Logs cannot be read
|- ExpressionError         an expression of metric math cannot be computed
|- TemplateError           a template of CloudFormation, or its parameters, cannot be used
|- TransformError          a transform job has failed
|- TransformStopped        StopTransformJob has been called
|- TrainingError           a training job has failed
`- TrainingStopped         a training job is stopped before its container has been started

UpdateFailed               a resource of a stack cannot be updated (a BaseException, see there)

A request that SageMaker's API refuses is one of moto's errors (moto.sagemaker.exceptions), for moto
writes the answer. How InvokeEndpoint answers an InvocationError: data_plane/invoke_endpoint.py.
"""

from __future__ import annotations

import uuid


class RehearsalError(Exception):
    """The root of the tree; the message is one line that says what to do or what is wrong."""


class CannotStart(RehearsalError):
    """The rehearsal cannot start, or its bill cannot be asked for; the command exits with 2."""


class PricesError(CannotStart):
    """The file of prices cannot be used."""


class UnknownRegion(PricesError):
    """The file has no prices of a region."""


class InputError(RehearsalError):
    """A file that a command is given cannot be used; the command exits with 2."""


class ContainerEngineError(RehearsalError):
    """A container cannot be started, or no Docker engine answers."""


class ArtifactError(RehearsalError):
    """The model artifacts cannot be fetched or unpacked."""


class RehearsalEnds(RehearsalError):
    """Something is started while everything is being stopped."""


class InvocationError(RehearsalError):
    """An invocation that no container has answered with success."""


class Throttled(InvocationError):
    """More invocations at once than MaxConcurrency; nothing was started for this one."""

    def __init__(self, max_concurrency: int) -> None:
        super().__init__(f"More calls at once than the MaxConcurrency of {max_concurrency}.")
        self.max_concurrency = max_concurrency


class ModelNotReady(InvocationError):
    """An environment did not start, or did not answer a ping, in time."""


class Oversize(InvocationError):
    """A request or an answer is larger than the platform passes on."""

    def __init__(self) -> None:
        # Seen at https://github.com/aws/sagemaker-python-sdk/issues/4271
        super().__init__(f"Request {uuid.uuid4()} has oversize body.")


class ModelError(InvocationError):
    """The container answered 4xx or 5xx, or gave no answer (original_status 0).

    `text` is the Message of the platform, without the link to the logs that it ends in.
    """

    def __init__(self, original_status: int, original_message: str, text: str) -> None:
        super().__init__(text)
        self.original_status = original_status
        self.original_message = original_message
        self.text = text


class ServiceUnavailable(InvocationError):
    """Nothing can serve now; the message says why."""


class VariantReplaced(InvocationError):
    """An update has put another variant in the place of this one, which takes no more calls."""


class FilterPatternError(RehearsalError):
    """A filter pattern of CloudWatch Logs cannot be read."""


class ExpressionError(RehearsalError):
    """An expression of metric math cannot be computed."""


class TemplateError(RehearsalError):
    """A template of CloudFormation, or what is given for its parameters, cannot be used."""


class TransformError(RehearsalError):
    """A transform job has failed; the message is its FailureReason, `detail` is for its data log.

    "Bad HTTP status returned from endpoint" is in the data log, and the reason says no more:
    https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-errors.html
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: See job logs for more information")
        self.detail = detail


class TransformStopped(RehearsalError):
    """StopTransformJob has been called."""


class TrainingError(RehearsalError):
    """A training job has failed; the message is its FailureReason."""


class TrainingStopped(RehearsalError):
    """A training job is stopped before its container has been started."""


class UpdateFailed(BaseException):
    """A resource of a stack cannot be updated; `message` says why.

    It is not an Exception because moto tries four more times what raises one, each of which may
    start a container that is broken.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def unmet(value: object, path: str, constraint: str) -> str:
    """Say in AWS's words that a member of a request does not meet a constraint."""
    return (
        f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: "
        f"Member must {constraint}"
    )


def one_line(error: BaseException) -> str:
    """Return the message of any error in one line, or the name of its class if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
