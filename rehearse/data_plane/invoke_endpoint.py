"""Answer InvokeEndpoint over HTTP: an invocation of an endpoint, or the platform's error.

Names, statuses and members are those of the service model (botocore,
data/sagemaker-runtime/2017-05-13/service-2.json); other sources stand beside what they say.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from moto.iam.models import get_account_id_from
from moto.sagemaker.utils import arn_formatter
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from rehearse.data_plane.endpoints import Endpoints
from rehearse.data_plane.invocation import CUSTOM_ATTRIBUTES
from rehearse.data_types import Invocation
from rehearse.errors import (
    ModelError,
    ModelNotReady,
    Oversize,
    ServiceUnavailable,
    Throttled,
    one_line,
)

PATH = re.compile(r"/endpoints/([^/]+)/invocations")
PREFIX = "X-Amzn-SageMaker-"
INFERENCE_ID = PREFIX + "Inference-Id"
# Members that choose among things a serverless or single-model endpoint does not have.
NOT_SUPPORTED = ("Target-Model", "Target-Container-Hostname", "Inference-Component", "Session-Id")
CREDENTIAL_SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/")


class InvokeEndpoint:
    """The data plane, as a WSGI application."""

    def __init__(self, endpoints: Endpoints, region: str) -> None:
        self._endpoints = endpoints
        self._region = region

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        response = self._answer(Request(environ))
        response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        match = PATH.fullmatch(request.path)
        if match is None or request.method != "POST":
            return validation_error("The rehearsal has InvokeEndpoint only, no stream, no queue.")
        length = request.environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal():
            return validation_error(f"Content-Length {length} is no number of bytes.")
        # All of it, so that a client that is refused has not still to write.
        body = request.get_data(cache=False)
        account_id, region = self._signer(request)
        arn = arn_formatter("endpoint", match[1], account_id, region)
        if (problem := _header_problem(request.headers)) is not None:
            return validation_error(problem)
        invocation = _invocation(body, request.headers)
        target = request.headers.get(PREFIX + "Target-Variant")
        try:
            answered = self._endpoints.invoke(arn, target, invocation)
        except Exception as error:
            return error_response(error, arn)
        if answered is None:
            return _not_found(arn, target if self._endpoints.variants(arn) else None)
        variant, found = answered
        headers = {"x-Amzn-Invoked-Production-Variant": variant}
        if found.custom_attributes:
            headers[CUSTOM_ATTRIBUTES] = found.custom_attributes
        response = Response(found.body, 200, headers, content_type=found.content_type or None)
        if not found.content_type:
            del response.headers["Content-Type"]  # werkzeug makes one up
        return response

    def _signer(self, request: Request) -> tuple[str, str]:
        """Return account and region of the signature, which is not checked; ours without one."""
        scope = CREDENTIAL_SCOPE.search(request.headers.get("Authorization", ""))
        key, region = scope.groups() if scope else ("", self._region)
        return get_account_id_from(key), region


def _invocation(body: bytes, headers: Headers) -> Invocation:
    """Take what reaches a container: of the client's headers these four, and no other.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    """
    return Invocation(
        body=body,
        content_type=headers.get("Content-Type"),
        accept=headers.get("Accept"),
        custom_attributes=headers.get(CUSTOM_ATTRIBUTES),
        inference_id=headers.get(INFERENCE_ID),
    )


def _header_problem(headers: Headers) -> str | None:
    """Return what the service model does not allow in a request; None if there is nothing."""
    attributes = headers.get(CUSTOM_ATTRIBUTES, "")
    if not attributes.isascii():
        return "CustomAttributes must be ASCII: code other characters, as with percent signs."
    if len(attributes) > 1024:
        return (
            "1 validation error detected: Value at 'customAttributes' failed to satisfy "
            "constraint: Member must have length less than or equal to 1024"
        )
    if len(headers.get(INFERENCE_ID, "")) > 64:
        return (
            "1 validation error detected: Value at 'inferenceId' failed to satisfy constraint: "
            "Member must have length less than or equal to 64"
        )
    for name in NOT_SUPPORTED:
        if headers.get(PREFIX + name):
            return f"{name} is not supported by this endpoint."
    return None


def _not_found(arn: str, target: str | None) -> Response:
    """Answer that there is no such endpoint, or no such variant of it."""
    if target:
        return validation_error(f"Variant {target} not found for Request.")
    _, _, _, _, account_id, name = arn.split(":", 5)
    # The body was logged by a user of the platform: "NO_SUCH_ENDPOINT".
    message = f"Endpoint {name.removeprefix('endpoint/')} of account {account_id} not found."
    return _error(400, "ValidationError", {"ErrorCode": "NO_SUCH_ENDPOINT", "Message": message})


def error_response(error: Exception, arn: str) -> Response:
    """Return the platform's answer to an invocation that has failed."""
    match error:
        case Throttled():
            # 400 with an empty message, the code in a header only:
            # https://github.com/opensearch-project/ml-commons/issues/2429
            return _error(400, "ThrottlingException", {"message": None})
        case ModelNotReady():
            return _error(429, "ModelNotReadyException", {"Message": str(error)})
        case Oversize():
            return validation_error(str(error))
        case ModelError():
            return _model_error(error, arn)
        case ServiceUnavailable():
            return _error(503, "ServiceUnavailable", {"Message": str(error)})
    return _error(500, "InternalFailure", {"Message": one_line(error)})


def _model_error(error: ModelError, arn: str) -> Response:
    """Answer ModelError. ErrorCode is not in the service model but on the wire.

    CLIENT_ERROR_FROM_MODEL: https://github.com/opensearch-project/ml-commons, in its tests.
    """
    side = "CLIENT_ERROR" if 400 <= error.original_status < 500 else "INTERNAL_FAILURE"
    _, partition, _, region, account_id, name = arn.split(":", 5)
    group = f"/aws/sagemaker/Endpoints/{name.removeprefix('endpoint/')}"
    return _error(
        424,
        "ModelError",
        {
            "ErrorCode": f"{side}_FROM_MODEL",
            "LogStreamArn": f"arn:{partition}:logs:{region}:{account_id}:log-group:{group}",
            "Message": error.text,
            "OriginalMessage": error.original_message,
            "OriginalStatusCode": error.original_status,
        },
    )


def validation_error(message: str) -> Response:
    """Answer that the request cannot be served, and why."""
    return _error(400, "ValidationError", {"Message": message})


def _error(status: int, kind: str, members: Mapping[str, Any]) -> Response:
    return Response(
        json.dumps(members), status, {"x-amzn-errortype": kind}, content_type="application/json"
    )
