"""Models and configurations of stacks in, calls of our backend out: what moto's models lack.

moto 5.2.5 ignores the names a template gives, wants a PrimaryContainer, and replaces an endpoint
where AWS updates it. Sources:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_SageMaker.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from moto.sagemaker import models
from moto.sagemaker.exceptions import ValidationError

from rehearse.cloudformation import changes, endpoints

T = TypeVar("T")
NUMBERS = ("MemorySizeInMB", "MaxConcurrency", "ProvisionedConcurrency")


def create_model(
    resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
) -> models.Model:
    """PrimaryContainer or Containers; a template may give numbers in an Environment.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-model.html
    """
    properties = cloudformation_json["Properties"]
    for container in [properties.get("PrimaryContainer"), *properties.get("Containers", [])]:
        if container and (given := container.get("Environment")):
            container["Environment"] = {name: str(value) for name, value in given.items()}
    return models.sagemaker_backends[account_id][region_name].create_model(
        resource_name,
        properties.get("ExecutionRoleArn"),
        properties.get("PrimaryContainer"),
        properties.get("VpcConfig"),
        properties.get("Containers"),
        properties.get("Tags"),
    )


def create_config(
    resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
) -> models.FakeEndpointConfig:
    """A template may give numbers as strings."""
    properties = cloudformation_json["Properties"]
    for variant in properties["ProductionVariants"]:
        serverless = variant.get("ServerlessConfig", {})
        serverless |= {key: int(serverless[key]) for key in NUMBERS if key in serverless}
        if "InitialInstanceCount" in variant:
            variant["InitialInstanceCount"] = int(variant["InitialInstanceCount"])
    return models.sagemaker_backends[account_id][region_name].create_endpoint_config(
        endpoint_config_name=resource_name,
        production_variants=properties["ProductionVariants"],
        data_capture_config=properties.get("DataCaptureConfig", {}),
        async_inference_config=properties.get("AsyncInferenceConfig", {}),
        kms_key_id=properties.get("KmsKeyId"),
        tags=properties.get("Tags", []),
    )


@changes.once
def update_model(
    original_resource: models.Model, new_resource_name: str, **given: Any
) -> models.Model:
    """Every change replaces a model."""
    old = original_resource.model_name
    return _replace(old, new_resource_name, create_model, "delete_model", given)


@changes.once
def update_config(
    original_resource: models.FakeEndpointConfig, new_resource_name: str, **given: Any
) -> models.FakeEndpointConfig:
    """Every change replaces a configuration."""
    old = original_resource.endpoint_config_name
    return _replace(old, new_resource_name, create_config, "delete_endpoint_config", given)


def _replace(
    old: str, new: str, create: Callable[..., T], delete: str, given: Mapping[str, Any]
) -> T:
    """The old one goes when the stack has been updated, the new one if it cannot be.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
    """
    if old == new:
        raise ValidationError(
            "CloudFormation cannot update a stack when a custom-named resource requires "
            f"replacing. Rename {old} and update the stack again."
        )
    made = create(new, **given)
    backend = models.sagemaker_backends[given["account_id"]][given["region_name"]]
    remove = getattr(backend, delete)
    changes.add(undo=partial(remove, new), finish=partial(remove, old))
    return made


def install() -> None:
    """Give moto's models these names and functions."""
    for model, name in (
        (models.Model, "ModelName"),
        (models.FakeEndpointConfig, "EndpointConfigName"),
        (models.FakeEndpoint, "EndpointName"),
    ):
        _give(model, cloudformation_name_type=lambda name=name: name)
    _give(
        models.Model,
        create_from_cloudformation_json=create_model,
        update_from_cloudformation_json=update_model,
    )
    _give(
        models.FakeEndpointConfig,
        create_from_cloudformation_json=create_config,
        update_from_cloudformation_json=update_config,
    )
    _give(
        models.FakeEndpoint,
        create_from_cloudformation_json=endpoints.create,
        update_from_cloudformation_json=endpoints.update,
        delete_from_cloudformation_json=endpoints.delete,
    )


def _give(model: type, **functions: Any) -> None:
    for name, function in functions.items():
        setattr(model, name, staticmethod(function))
