"""InvokeEndpoint off the wire in, a call of a fleet; its answer or the platform's error out.

Names, statuses and members are those of the service model (botocore,
data/sagemaker-runtime/2017-05-13/service-2.json); other sources stand beside what they say.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from moto.iam.models import get_account_id_from
from moto.sagemaker.utils import arn_formatter
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from rehearse.data_plane.hosting import Hosting
from rehearse.data_plane.refusals import invalid, nowhere, refusal
from rehearse.model import Call

PATH = re.compile(r"/endpoints/([^/]+)/invocations")
PREFIX = "X-Amzn-SageMaker-"
# Members that choose among things a serverless or single-model endpoint does not have.
FOREIGN = ("Target-Model", "Target-Container-Hostname", "Inference-Component", "Session-Id")
SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/")


class Runtime:
    """The data plane, as a WSGI application."""

    def __init__(self, hosting: Hosting, region: str) -> None:
        self._hosting = hosting
        self._region = region

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        response = self.answer(request)
        response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
        return response(environ, start_response)

    def answer(self, request: Request) -> Response:
        """One request of InvokeEndpoint."""
        match = PATH.fullmatch(request.path)
        if match is None or request.method != "POST":
            return invalid("The rehearsal has InvokeEndpoint only, no stream, no queue.")
        length = request.environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal():
            return invalid(f"Content-Length {length} is no number of bytes.")
        # All of it, so that a client that is refused has not still to write.
        body = request.get_data(cache=False)
        account, region = self._signer(request)
        arn = arn_formatter("endpoint", match[1], account, region)
        if (problem := _unsound(request.headers)) is not None:
            return invalid(problem)
        call, target = _call(body, request.headers), request.headers.get(PREFIX + "Target-Variant")
        try:
            answered = self._hosting.invoke(arn, target, call)
        except Exception as error:
            return refusal(error, arn)
        if answered is None:
            return nowhere(arn, target if self._hosting.variants(arn) else None)
        variant, reply = answered
        headers = {"x-Amzn-Invoked-Production-Variant": variant}
        if reply.custom_attributes:
            headers[PREFIX + "Custom-Attributes"] = reply.custom_attributes
        response = Response(reply.body, 200, headers, content_type=reply.content_type or None)
        if not reply.content_type:
            del response.headers["Content-Type"]  # werkzeug makes one up
        return response

    def _signer(self, request: Request) -> tuple[str, str]:
        """Account and region of a signature, which is not checked; ours where there is none."""
        scope = SCOPE.search(request.headers.get("Authorization", ""))
        key, region = scope.groups() if scope else ("", self._region)
        return get_account_id_from(key), region


def _call(body: bytes, headers: Headers) -> Call:
    """What reaches a container: of the client's headers these four, and no other.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    """
    return Call(
        body=body,
        content_type=headers.get("Content-Type"),
        accept=headers.get("Accept"),
        custom_attributes=headers.get(PREFIX + "Custom-Attributes"),
        inference_id=headers.get(PREFIX + "Inference-Id"),
    )


def _unsound(headers: Headers) -> str | None:
    """What the service model does not allow in a request; None if it is sound."""
    attributes = headers.get(PREFIX + "Custom-Attributes", "")
    if not attributes.isascii():
        return "CustomAttributes must be ASCII: code other characters, as with percent signs."
    if len(attributes) > 1024:
        return (
            "1 validation error detected: Value at 'customAttributes' failed to satisfy "
            "constraint: Member must have length less than or equal to 1024"
        )
    if len(headers.get(PREFIX + "Inference-Id", "")) > 64:
        return (
            "1 validation error detected: Value at 'inferenceId' failed to satisfy constraint: "
            "Member must have length less than or equal to 64"
        )
    for name in FOREIGN:
        if headers.get(PREFIX + name):
            return f"{name} is not supported by this endpoint."
    return None
