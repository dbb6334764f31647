"""Why a call was not answered in, the platform's error on the wire out.

Names, statuses and members are those of the service model (botocore,
data/sagemaker-runtime/2017-05-13/service-2.json); other sources stand beside what they say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response

from rehearse.model import ModelFailed, NotReady, Oversize, Throttled, Unavailable


def nowhere(arn: str, target: str | None) -> Response:
    """There is no such endpoint, or no such variant of it."""
    if target:
        return invalid(f"Variant {target} not found for Request.")
    _, _, _, _, account, name = arn.split(":", 5)
    # The body was logged by a user of the platform: "NO_SUCH_ENDPOINT".
    message = f"Endpoint {name.removeprefix('endpoint/')} of account {account} not found."
    return _error(400, "ValidationError", {"ErrorCode": "NO_SUCH_ENDPOINT", "Message": message})


def refusal(error: Exception, arn: str) -> Response:
    """The platform's answer to a call that a fleet has not answered."""
    match error:
        case Throttled():
            # 400 with an empty message, the code in a header only:
            # https://github.com/opensearch-project/ml-commons/issues/2429
            return _error(400, "ThrottlingException", {"message": None})
        case NotReady():
            return _error(429, "ModelNotReadyException", {"Message": str(error)})
        case Oversize():
            return invalid(str(error))
        case ModelFailed():
            return _model_error(error, arn)
        case Unavailable():
            return _error(503, "ServiceUnavailable", {"Message": str(error)})
    return _error(500, "InternalFailure", {"Message": " ".join(str(error).split())})


def _model_error(error: ModelFailed, arn: str) -> Response:
    """ModelError. ErrorCode is not in the service model but on the wire.

    CLIENT_ERROR_FROM_MODEL: https://github.com/opensearch-project/ml-commons, in its tests.
    """
    side = "CLIENT_ERROR" if 400 <= error.original_status < 500 else "INTERNAL_FAILURE"
    _, partition, _, region, account, name = arn.split(":", 5)
    group = f"/aws/sagemaker/Endpoints/{name.removeprefix('endpoint/')}"
    return _error(
        424,
        "ModelError",
        {
            "ErrorCode": f"{side}_FROM_MODEL",
            "LogStreamArn": f"arn:{partition}:logs:{region}:{account}:log-group:{group}",
            "Message": error.text,
            "OriginalMessage": error.original_message,
            "OriginalStatusCode": error.original_status,
        },
    )


def invalid(message: str) -> Response:
    """The request is not one that can be answered."""
    return _error(400, "ValidationError", {"Message": message})


def _error(status: int, kind: str, members: Mapping[str, Any]) -> Response:
    return Response(
        json.dumps(members),
        status,
        {"x-amzn-errortype": kind},
        content_type="application/json",
    )
