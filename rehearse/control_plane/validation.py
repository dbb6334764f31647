"""Refuse requests of the control plane that the platform would refuse.

What is checked is documented; where the words of a refusal are not, they are ours. Members and
types are those of botocore's service model (data/sagemaker/2017-07-24/service-2.json).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import sagemaker_backends

from platform_facts import BATCH_LARGEST_PAYLOAD_MB, MOST_CONCURRENCY
from rehearse.errors import unmet

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-autoscale.html
SCALABLE_DIMENSION = "sagemaker:variant:DesiredProvisionedConcurrency"
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html: not supported. That
# they are refused when the configuration is made was seen by the authors of
# https://github.com/aws-controllers-k8s/sagemaker-controller/pull/193
NOT_SERVERLESS = (
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "VpcConfig",
    "EnableNetworkIsolation",
    "ShadowProductionVariants",
)
NEEDS_INSTANCES = (
    "VolumeSizeInGB AcceleratorType InitialInstanceCount ManagedInstanceScaling".split()
)


def check_members(action: str, body: str) -> None:
    """Refuse members that are missing, or not as the service model says.

    The values of enumerations are checked in lists only: there they do not grow, as those of
    instance types do.
    """
    from botocore.validate import ParamValidator

    model = _service_model()
    if action not in model.operation_names:
        return
    try:
        given = json.loads(body or "{}")
    except ValueError as error:
        raise ValidationError(f"The body of {action} is no JSON: {error}") from error
    shape = model.operation_model(action).input_shape
    report = ParamValidator().validate(given, shape)
    if report.has_errors():
        raise ValidationError("; ".join(report.generate_report().splitlines()))
    if action.startswith("List"):
        for name, value in given.items():
            _check_value(value, name, shape.members[name])


def _check_value(value: Any, name: str, shape: Any) -> None:
    """Refuse what is no value of an enumeration, or more than the most."""
    path = f"{name[0].lower()}{name[1:]}"
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        raise ValidationError(unmet(value, path, f"satisfy enum value set: [{', '.join(allowed)}]"))
    if shape.type_name == "integer" and value > shape.metadata.get("max", value):
        raise ValidationError(
            unmet(value, path, f"have value less than or equal to {shape.metadata['max']}")
        )


@cache
def _service_model() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


def check_name(value: str, member: str) -> None:
    """Refuse a name that is not as the service model describes it."""
    if not NAME.fullmatch(value) or len(value) > 63:
        raise ValidationError(
            unmet(value, member, f"satisfy regular expression pattern: {NAME.pattern}")
        )


def check_variants(given: Sequence[Mapping[str, Any]]) -> None:
    """Refuse the variants of an endpoint configuration."""
    check_unique(given)
    for place, variant in enumerate(given, 1):
        path = f"productionVariants.{place}.member"
        check_name(variant["VariantName"], f"{path}.variantName")
        if variant.get("InitialVariantWeight", 0.0) < 0:
            raise ValidationError(f"{path}.initialVariantWeight must not be less than 0.")
        if variant.get("ServerlessConfig"):
            _check_concurrency(variant["ServerlessConfig"], f"{path}.serverlessConfig")
            for other in ("InstanceType", *NEEDS_INSTANCES):
                if variant.get(other) is not None:
                    raise ValidationError(f"{other} cannot be used with ServerlessConfig.")
        elif variant.get("InstanceType") and not variant.get("InitialInstanceCount"):
            raise ValidationError(
                f"{path}.initialInstanceCount must be given with an InstanceType."
            )
    if len(given) > 1 and any(each.get("ServerlessConfig") for each in given):
        raise ValidationError("Multiple variants are not supported for serverless endpoints.")


def check_unique(given: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a request that names a variant twice."""
    for found, count in Counter(each["VariantName"] for each in given).items():
        if count > 1:
            raise ValidationError(f'The variant name "{found}" was non-unique within the request.')


def check_exclusions(variants: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> None:
    """Refuse members of a configuration or its models that serverless endpoints exclude."""
    for name in NOT_SERVERLESS:
        if given.get(name) and any(each.get("ServerlessConfig") for each in variants):
            raise ValidationError(f"{name} is not supported for serverless endpoints.")


def _check_concurrency(config: Mapping[str, Any], path: str) -> None:
    """Refuse MaxConcurrency or ProvisionedConcurrency; moto itself checks MemorySizeInMB."""
    most = config["MaxConcurrency"]
    provisioned = config.get("ProvisionedConcurrency")
    _within(most, f"{path}.maxConcurrency")
    if provisioned is not None:
        _within(provisioned, f"{path}.provisionedConcurrency")
        if provisioned > most:
            raise ValidationError(
                f"ProvisionedConcurrency {provisioned} must be less than or equal to "
                f"MaxConcurrency {most}."
            )


def check_update(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> None:
    """Refuse an update from the old variants to the new ones.

    Instances never become serverless; serverless becomes instances for good:
    https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html. The variant needs
    another name then: https://github.com/aws-controllers-k8s/sagemaker-controller/pull/193
    """
    was = {each["VariantName"] for each in old if "CurrentServerlessConfig" in each}
    becomes = {each["VariantName"] for each in new if each.get("ServerlessConfig")}
    if becomes and not was:
        raise ValidationError(
            "An endpoint with instances cannot be updated to a serverless endpoint; "
            "create a new endpoint."
        )
    kept = {each["VariantName"] for each in new} & was
    if kept and not becomes:
        raise ValidationError(
            f'The variant "{min(kept)}" is serverless; a variant with instances that replaces it '
            "must have a different name."
        )


def check_transform_job(asked: Mapping[str, Any]) -> None:
    """Refuse inputs that are not imitated, and too much payload at a time.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
    """
    given = asked["transform_input"]
    for member, value in (
        ("SplitType", given.get("SplitType")),
        ("S3DataType", given["DataSource"]["S3DataSource"]["S3DataType"]),
    ):
        if value in ("RecordIO", "TFRecord", "AugmentedManifestFile"):
            raise ValidationError(f"{member} {value} is not imitated by the rehearsal.")
    payload = asked.get("max_payload_in_mb")
    if (payload or 0) * (asked.get("max_concurrent_transforms") or 1) > BATCH_LARGEST_PAYLOAD_MB:
        raise ValidationError(
            f"MaxPayloadInMB must not exceed {BATCH_LARGEST_PAYLOAD_MB}, nor that multiplied by "
            "MaxConcurrentTransforms."
        )


def _within(value: int, path: str) -> None:
    if not 1 <= value <= MOST_CONCURRENCY:
        bound = (
            f"less than or equal to {MOST_CONCURRENCY}"
            if value > 1
            else "greater than or equal to 1"
        )
        raise ValidationError(unmet(value, path, f"have value {bound}"))


def record_changes(record: Mapping[str, Any], desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a DesiredWeightAndCapacity changes in the record of a variant, or refuse it."""
    changes: dict[str, Any] = {}
    if (weight := desired.get("DesiredWeight")) is not None:
        changes |= {"CurrentWeight": weight, "DesiredWeight": weight}
    if (count := desired.get("DesiredInstanceCount")) is not None:
        changes |= {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
    if wish := desired.get("ServerlessUpdateConfig"):
        if "CurrentServerlessConfig" not in record:
            raise ValidationError("ServerlessUpdateConfig needs a serverless variant.")
        config = {**record["CurrentServerlessConfig"], **wish}
        _check_concurrency(config, "serverlessUpdateConfig")
        changes |= {"CurrentServerlessConfig": config, "DesiredServerlessConfig": config}
    return changes


def check_scalable_target(account_id: str, region: str, resource_id: str) -> None:
    """Refuse to scale a variant that is not there, or has no provisioned concurrency.

    Targets and policies of Application Auto Scaling are kept by moto; nothing is scaled.
    """
    from moto.applicationautoscaling.exceptions import AWSValidationException

    if resource_id.count("/") != 3:
        return  # moto refuses it
    _, endpoint, _, name = resource_id.split("/")
    records = sagemaker_backends[account_id][region].endpoints
    for each in records[endpoint].production_variants if endpoint in records else []:
        config = each.get("CurrentServerlessConfig") or {}
        if each["VariantName"] == name and config.get("ProvisionedConcurrency"):
            return
    raise AWSValidationException(
        f"No variant with provisioned concurrency exists for resource ID: {resource_id}"
    )
