"""Create, update and delete endpoint configurations and endpoints.

moto keeps the records; what it lacks is here, each with its source. An endpoint is what it says it
is: Creating until its container answers pings, Failed with the reason where it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moto.core.utils import utcnow
from moto.sagemaker import models
from moto.sagemaker.exceptions import ValidationError

from rehearse.control_plane import validation
from rehearse.control_plane.data_capture import capture_summary, data_capture
from rehearse.control_plane.models import ModelsBackend, variant_config
from rehearse.control_plane.one_at_a_time import one_at_a_time
from rehearse.data_plane.endpoints import Done
from rehearse.data_types import ProductionVariant

UNDER_WAY = ("Creating", "Updating", "Deleting")


class EndpointsBackend(ModelsBackend):
    """The endpoints of one region."""

    @one_at_a_time
    def create_endpoint_config(  # type: ignore[override]  # the rest by name
        self, endpoint_config_name: str, production_variants: list[dict[str, Any]], **rest: Any
    ) -> models.FakeEndpointConfig:
        validation.check_name(endpoint_config_name, "endpointConfigName")
        self.must_be_new("endpoint configuration", endpoint_config_name, self.endpoint_configs)
        self.validate_production_variants(production_variants)
        validation.check_variants(production_variants)
        for name in (each["ModelName"] for each in production_variants):
            given = {
                "VpcConfig": self.models[name].vpc_config,
                "EnableNetworkIsolation": name in self.isolated,
                "AsyncInferenceConfig": rest.get("async_inference_config"),
                "DataCaptureConfig": rest.get("data_capture_config"),
            }
            validation.check_exclusions(production_variants, given)
        return super().create_endpoint_config(endpoint_config_name, production_variants, **rest)

    def describe_endpoint_config(self, endpoint_config_name: str) -> dict[str, Any]:
        self._variants(endpoint_config_name)
        return super().describe_endpoint_config(endpoint_config_name)

    @one_at_a_time
    def create_endpoint(
        self, endpoint_name: str, endpoint_config_name: str, tags: list[dict[str, str]]
    ) -> models.FakeEndpoint:
        validation.check_name(endpoint_name, "endpointName")
        self.must_be_new("endpoint", endpoint_name, self.endpoints)
        self._variants(endpoint_config_name)
        endpoint = super().create_endpoint(endpoint_name, endpoint_config_name, tags)
        endpoint.endpoint_status = "Creating"

        def done(failure: str | None) -> None:
            self._note_deployed(endpoint)
            _settle(endpoint, "InService" if failure is None else "Failed", failure)

        self._deploy(endpoint, endpoint_config_name, done)
        return endpoint

    @one_at_a_time
    def update_endpoint(self, endpoint_name: str, endpoint_config_name: str) -> str:
        """Update an endpoint to another configuration.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
        """
        endpoint = self._in_service(endpoint_name)
        variants = self._variants(endpoint_config_name)
        validation.check_update(endpoint.production_variants, variants)
        endpoint.endpoint_status = "Updating"

        def done(failure: str | None) -> None:
            if failure is None:
                updated = models.FakeEndpoint(  # type: ignore[abstract]  # moto makes them, too
                    self.account_id,
                    self.region_name,
                    endpoint_name,
                    endpoint_config_name,
                    variants,
                    {},
                    [],
                )
                endpoint.endpoint_config_name = endpoint_config_name
                endpoint.production_variants = updated.production_variants
                self._note_deployed(endpoint)
            # A failed update leaves what served before:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
            _settle(endpoint, "InService", failure)

        self._deploy(endpoint, endpoint_config_name, done)
        return str(endpoint.arn)

    @one_at_a_time
    def update_endpoint_weights_and_capacities(
        self, endpoint_name: str, desired_weights_and_capacities: list[dict[str, Any]]
    ) -> str:
        """Take weights, numbers of instances, and ServerlessUpdateConfig, which moto lacks.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DesiredWeightAndCapacity.html
        """
        endpoint = self._in_service(endpoint_name)
        records = {each["VariantName"]: each for each in endpoint.production_variants}
        validation.check_unique(desired_weights_and_capacities)
        for desired in desired_weights_and_capacities:
            if (name := desired["VariantName"]) not in records:
                raise ValidationError(
                    f'The variant name(s) "{name}" is/are not present within endpoint '
                    f'configuration "{endpoint.endpoint_config_name}".'
                )
        changes = {
            each["VariantName"]: validation.record_changes(records[each["VariantName"]], each)
            for each in desired_weights_and_capacities
        }
        endpoint.endpoint_status = "Updating"
        wanted = [
            _resized(each, {**records[name], **changes.get(name, {})})
            for name, each in self.running.variants(endpoint.arn).items()
        ]

        def done(failure: str | None) -> None:
            if failure is None:
                for name, changed in changes.items():
                    records[name].update(changed)
            _settle(endpoint, "InService", failure)

        self.running.resize(endpoint.arn, wanted, done)
        return str(endpoint.arn)

    def describe_endpoint(self, endpoint_name: str) -> dict[str, Any]:
        return self._endpoint(endpoint_name).response_object

    def wait_for_endpoint(self, name: str, seconds: float) -> None:
        """Wait until nothing is under way with an endpoint, if it is there."""
        if name in self.endpoints:
            self.running.wait(self.endpoints[name].arn, seconds)

    @one_at_a_time
    def delete_endpoint(self, endpoint_name: str) -> None:
        endpoint = self._not_changing(endpoint_name)
        endpoint.endpoint_status = "Deleting"

        def done(_: str | None) -> None:
            if self.endpoints.get(endpoint_name) is endpoint:
                del self.endpoints[endpoint_name]

        self.running.delete(endpoint.arn, done)

    def reset(self) -> None:
        for endpoint in list(self.endpoints.values()):
            self.running.delete(endpoint.arn, lambda _: None)
        super().reset()

    def _deploy(self, endpoint: models.FakeEndpoint, config_name: str, done: Done) -> None:
        config = self.endpoint_configs[config_name]
        capture = data_capture(config.data_capture_config)
        variants = list(config.production_variants)

        def prepare() -> list[ProductionVariant]:
            return [replace(each, capture=capture) for each in self.prepare_variants(variants)]

        self.running.deploy(endpoint.arn, prepare, done)

    def _note_deployed(self, endpoint: models.FakeEndpoint) -> None:
        """Describe the weights and images of what serves now.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantSummary.html
        """
        running = self.running.variants(endpoint.arn)
        for record in endpoint.production_variants:
            if variant := running.get(record["VariantName"]):
                image = {"SpecifiedImage": variant.container.image, "ResolutionTime": utcnow()}
                record["DeployedImages"] = [image]
                record["CurrentWeight"] = record["DesiredWeight"] = variant.weight
        config = self.endpoint_configs.get(endpoint.endpoint_config_name)
        given = config.data_capture_config if config else {}
        endpoint.data_capture_config = capture_summary(given)

    def _variants(self, endpoint_config_name: str) -> list[dict[str, Any]]:
        """Return the variants of an endpoint configuration."""
        if endpoint_config_name not in self.endpoint_configs:
            arn = self.arn("endpoint-config", endpoint_config_name)
            raise ValidationError(f'Could not find endpoint configuration "{arn}".')
        config = self.endpoint_configs[endpoint_config_name]
        found: list[dict[str, Any]] = config.production_variants
        for each in found:
            self.describe_model(each["ModelName"])  # it may have been deleted
        return found

    def _endpoint(self, name: str) -> models.FakeEndpoint:
        """Return the record of an endpoint."""
        if name not in self.endpoints:
            raise ValidationError(f'Could not find endpoint "{self.arn("endpoint", name)}".')
        return self.endpoints[name]

    def _not_changing(self, name: str) -> models.FakeEndpoint:
        """Return an endpoint that can be changed or deleted now; the words are the platform's."""
        endpoint = self._endpoint(name)
        if endpoint.endpoint_status in UNDER_WAY:
            raise ValidationError(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def _in_service(self, name: str) -> models.FakeEndpoint:
        """Return an endpoint that can be updated now."""
        endpoint = self._not_changing(name)
        if endpoint.endpoint_status == "Failed":
            raise ValidationError(
                f'Cannot update endpoint "{endpoint.arn}" with status "Failed"; delete it first.'
            )
        return endpoint


def _settle(endpoint: models.FakeEndpoint, status: str, failure: str | None) -> None:
    """Give an endpoint the status that it has after a change."""
    endpoint.failure_reason = failure  # type: ignore[assignment]  # moto's never fail
    endpoint.last_modified_time = utcnow()
    endpoint.endpoint_status = status


def _resized(variant: ProductionVariant, record: Mapping[str, Any]) -> ProductionVariant:
    """Return a running variant with what DescribeEndpoint says it should have."""
    instance = {
        "InstanceType": getattr(variant.config, "instance_type", ""),
        "InitialInstanceCount": record.get("DesiredInstanceCount"),
    }
    return replace(
        variant,
        config=variant_config(record.get("DesiredServerlessConfig"), instance),
        weight=record.get("DesiredWeight", variant.weight),
    )
