"""Calls of Application Auto Scaling about provisioned concurrency in, records of moto out.

https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-autoscale.html. Targets,
policies and scheduled actions are kept and checked; the rehearsal itself does not scale.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from moto.applicationautoscaling import models, responses
from moto.applicationautoscaling.exceptions import AWSValidationException
from moto.sagemaker.models import sagemaker_backends

DIMENSION = "sagemaker:variant:DesiredProvisionedConcurrency"
REGISTER = models.ApplicationAutoscalingBackend.register_scalable_target


def install() -> None:
    """Let moto take the dimension; an enum cannot be added to, so it is made anew."""
    known: Any = models.ScalableDimensionValueSet
    if DIMENSION not in [each.value for each in known]:
        name = "SAGEMAKER_VARIANT_DESIRED_PROVISIONED_CONCURRENCY"
        enum: Any = Enum
        made = enum(known.__name__, {each.name: each.value for each in known} | {name: DIMENSION})
        for module in (models, responses):
            setattr(module, known.__name__, made)
    backend: Any = models.ApplicationAutoscalingBackend
    backend.register_scalable_target = register


def register(
    backend: models.ApplicationAutoscalingBackend,
    namespace: str,
    r_id: str,
    dimension: str,
    *rest: Any,
    **more: Any,
) -> models.FakeScalableTarget:
    """Refuse a variant that is not there, or has no provisioned concurrency to scale."""
    if dimension == DIMENSION and r_id.count("/") == 3:
        _, endpoint, _, variant = r_id.split("/")
        records = sagemaker_backends[backend.account_id][backend.region_name].endpoints
        found = records[endpoint].production_variants if endpoint in records else []
        config = next(
            (
                each.get("CurrentServerlessConfig")
                for each in found
                if each["VariantName"] == variant
            ),
            None,
        )
        if not config or not config.get("ProvisionedConcurrency"):
            raise AWSValidationException(
                f"No variant with provisioned concurrency exists for resource ID: {r_id}"
            )
    return REGISTER(backend, namespace, r_id, dimension, *rest, **more)
