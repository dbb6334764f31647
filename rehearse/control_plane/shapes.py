"""A request of SageMaker's API in; nothing out, or what of it is not as the service model says.

The model is botocore's (data/sagemaker/2017-07-24/service-2.json), and so is the validation.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from moto.sagemaker.exceptions import ValidationError


def check(action: str, body: str) -> None:
    """Members that are missing or of another type; raises ValidationError."""
    from botocore.validate import ParamValidator

    model = _model()
    if action not in model.operation_names:
        return
    try:
        given = json.loads(body or "{}")
    except ValueError as error:
        raise ValidationError(f"The body of {action} is no JSON: {error}") from error
    report = ParamValidator().validate(given, model.operation_model(action).input_shape)
    if report.has_errors():
        raise ValidationError("; ".join(report.generate_report().splitlines()))


@cache
def _model() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")
