"""Endpoints of stacks in, calls of our backend out; a stack waits until they are in service."""

from __future__ import annotations

from functools import partial
from typing import Any

from moto.sagemaker import models
from moto.sagemaker.exceptions import ValidationError

from rehearse.cloudformation import changes
from rehearse.data_plane.limits import Limits

# Longer than an endpoint may take to start, and to answer what it has.
PATIENCE_SECONDS = Limits().instance_start_seconds + 2 * Limits().call_seconds


def create(
    resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
) -> models.FakeEndpoint:
    """CREATE_COMPLETE comes when the endpoint is in service; one that has failed is deleted."""
    backend = models.sagemaker_backends[account_id][region_name]
    properties = cloudformation_json["Properties"]
    endpoint = backend.create_endpoint(
        resource_name, properties["EndpointConfigName"], properties.get("Tags", [])
    )
    try:
        return _settled(backend, endpoint)
    except ValidationError:
        delete(resource_name, None, account_id, region_name)
        raise


@changes.once
def update(
    original_resource: models.FakeEndpoint,
    new_resource_name: str,  # noqa: ARG001  # moto names its arguments
    cloudformation_json: Any,
    account_id: str,
    region_name: str,
) -> models.FakeEndpoint:
    """Another EndpointConfigName is an update without interruption.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-endpoint.html
    """
    backend: Any = models.sagemaker_backends[account_id][region_name]
    config = cloudformation_json["Properties"]["EndpointConfigName"]
    before = original_resource.endpoint_config_name
    _move(backend, original_resource, config)
    changes.add(undo=partial(_move, backend, original_resource, before))
    return original_resource


def _move(backend: Any, endpoint: models.FakeEndpoint, config: str) -> None:
    backend.update_endpoint(endpoint.endpoint_name, config)
    _settled(backend, endpoint)


def delete(resource_name: str, _: Any, account_id: str, region_name: str) -> None:
    """DELETE_COMPLETE comes when the endpoint is gone."""
    backend: Any = models.sagemaker_backends[account_id][region_name]
    name = resource_name.split("/")[-1]
    arn = backend.endpoints[name].arn
    backend.delete_endpoint(name)
    backend.hosting.wait(arn, PATIENCE_SECONDS)


def _settled(backend: Any, endpoint: models.FakeEndpoint) -> models.FakeEndpoint:
    if not backend.hosting.wait(endpoint.arn, PATIENCE_SECONDS):
        raise ValidationError(f"{endpoint.arn} was not ready after {PATIENCE_SECONDS:.0f} s.")
    if endpoint.failure_reason:
        raise ValidationError(endpoint.failure_reason)
    return endpoint
