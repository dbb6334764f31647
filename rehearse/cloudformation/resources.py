"""Create, update and delete the models, endpoint configurations, endpoints and logs of a stack.

moto's own handlers ignore the names that a template gives, want a PrimaryContainer, replace an
endpoint where AWS updates it, and forget a log group that is updated. These have the arguments that
moto gives. Sources:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_SageMaker.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-loggroup.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from moto.logs.models import LogGroup
from moto.sagemaker import models
from moto.sagemaker.exceptions import ValidationError

from rehearse.cloudformation.stacks import add_update, without_retries
from rehearse.data_plane.quotas import Quotas

T = TypeVar("T")
NUMBERS = ("MemorySizeInMB", "MaxConcurrency", "ProvisionedConcurrency")
# Longer than an endpoint may take to start, and to answer what it has.
ENDPOINT_SECONDS = Quotas().instance_start_seconds + 2 * Quotas().call_seconds


def _backend(account_id: str, region_name: str) -> Any:
    return models.sagemaker_backends[account_id][region_name]


def create_model(
    resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
) -> models.Model:
    """Create a model; a template may give numbers in an Environment.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-model.html
    """
    properties = cloudformation_json["Properties"]
    for container in [properties.get("PrimaryContainer"), *properties.get("Containers", [])]:
        if container and (given := container.get("Environment")):
            container["Environment"] = {name: str(value) for name, value in given.items()}
    made: models.Model = _backend(account_id, region_name).create_model(
        resource_name,
        properties.get("ExecutionRoleArn"),
        properties.get("PrimaryContainer"),
        properties.get("VpcConfig"),
        properties.get("Containers"),
        properties.get("Tags"),
    )
    return made


def create_endpoint_config(
    resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
) -> models.FakeEndpointConfig:
    """Create an endpoint configuration; a template may give numbers as strings."""
    properties = cloudformation_json["Properties"]
    for variant in properties["ProductionVariants"]:
        serverless = variant.get("ServerlessConfig", {})
        serverless |= {key: int(serverless[key]) for key in NUMBERS if key in serverless}
        if "InitialInstanceCount" in variant:
            variant["InitialInstanceCount"] = int(variant["InitialInstanceCount"])
    made: models.FakeEndpointConfig = _backend(account_id, region_name).create_endpoint_config(
        endpoint_config_name=resource_name,
        production_variants=properties["ProductionVariants"],
        data_capture_config=properties.get("DataCaptureConfig", {}),
        async_inference_config=properties.get("AsyncInferenceConfig", {}),
        kms_key_id=properties.get("KmsKeyId"),
        tags=properties.get("Tags", []),
    )
    return made


@without_retries
def update_model(
    original_resource: models.Model, new_resource_name: str, **given: Any
) -> models.Model:
    """Replace a model, which every change does."""
    old = original_resource.model_name
    return _replace(old, new_resource_name, create_model, "delete_model", given)


@without_retries
def update_endpoint_config(
    original_resource: models.FakeEndpointConfig, new_resource_name: str, **given: Any
) -> models.FakeEndpointConfig:
    """Replace an endpoint configuration, which every change does."""
    old = original_resource.endpoint_config_name
    return _replace(old, new_resource_name, create_endpoint_config, "delete_endpoint_config", given)


def _replace(
    old: str, new: str, create: Callable[..., T], delete: str, given: Mapping[str, Any]
) -> T:
    """Create the new one; delete the old one after the update, or the new one if that fails.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
    """
    if old == new:
        raise ValidationError(
            "CloudFormation cannot update a stack when a custom-named resource requires "
            f"replacing. Rename {old} and update the stack again."
        )
    made = create(new, **given)
    remove = getattr(_backend(given["account_id"], given["region_name"]), delete)
    add_update(undo=partial(remove, new), finish=partial(remove, old))
    return made


def create_endpoint(
    resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
) -> models.FakeEndpoint:
    """Create an endpoint and wait until it is in service; one that has failed is deleted."""
    backend = _backend(account_id, region_name)
    properties = cloudformation_json["Properties"]
    endpoint: models.FakeEndpoint = backend.create_endpoint(
        resource_name, properties["EndpointConfigName"], properties.get("Tags", [])
    )
    try:
        _wait_for(backend, endpoint)
    except ValidationError:
        delete_endpoint(resource_name, None, account_id, region_name)
        raise
    return endpoint


@without_retries
def update_endpoint(
    original_resource: models.FakeEndpoint,
    new_resource_name: str,  # noqa: ARG001  # moto names its arguments
    cloudformation_json: Any,
    account_id: str,
    region_name: str,
) -> models.FakeEndpoint:
    """Update an endpoint without interruption to another EndpointConfigName.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-endpoint.html
    """
    backend = _backend(account_id, region_name)
    before = original_resource.endpoint_config_name

    def update(config_name: str) -> None:
        backend.update_endpoint(original_resource.endpoint_name, config_name)
        _wait_for(backend, original_resource)

    update(cloudformation_json["Properties"]["EndpointConfigName"])
    add_update(undo=partial(update, before))
    return original_resource


def delete_endpoint(resource_name: str, _: Any, account_id: str, region_name: str) -> None:
    """Delete an endpoint and wait until it is gone."""
    backend = _backend(account_id, region_name)
    name = resource_name.split("/")[-1]
    arn = backend.endpoints[name].arn
    backend.delete_endpoint(name)
    backend.running.wait(arn, ENDPOINT_SECONDS)


def _wait_for(backend: Any, endpoint: models.FakeEndpoint) -> None:
    """Wait until nothing is under way with an endpoint; raise ValidationError if it has failed."""
    if not backend.running.wait(endpoint.arn, ENDPOINT_SECONDS):
        raise ValidationError(f"{endpoint.arn} was not ready after {ENDPOINT_SECONDS:.0f} s.")
    if endpoint.failure_reason:
        raise ValidationError(endpoint.failure_reason)


@without_retries
def update_log_group(original_resource: LogGroup, cloudformation_json: Any, **_: Any) -> LogGroup:
    """Change how long a log group keeps its lines."""
    properties = cloudformation_json["Properties"]
    if properties.get("LogGroupName", original_resource.name) != original_resource.name:
        raise ValidationError("The rehearsal cannot give a log group of a stack another name.")
    before = original_resource.retention_in_days
    original_resource.set_retention_policy(properties.get("RetentionInDays"))
    add_update(undo=partial(original_resource.set_retention_policy, before))
    return original_resource


# By SERVICE.MODEL.FUNCTION of moto.
HANDLERS: dict[str, Callable[..., Any]] = {
    "sagemaker.Model.cloudformation_name_type": lambda: "ModelName",
    "sagemaker.Model.create_from_cloudformation_json": create_model,
    "sagemaker.Model.update_from_cloudformation_json": update_model,
    "sagemaker.FakeEndpointConfig.cloudformation_name_type": lambda: "EndpointConfigName",
    "sagemaker.FakeEndpointConfig.create_from_cloudformation_json": create_endpoint_config,
    "sagemaker.FakeEndpointConfig.update_from_cloudformation_json": update_endpoint_config,
    "sagemaker.FakeEndpoint.cloudformation_name_type": lambda: "EndpointName",
    "sagemaker.FakeEndpoint.create_from_cloudformation_json": create_endpoint,
    "sagemaker.FakeEndpoint.update_from_cloudformation_json": update_endpoint,
    "sagemaker.FakeEndpoint.delete_from_cloudformation_json": delete_endpoint,
    "logs.LogGroup.update_from_cloudformation_json": update_log_group,
}
