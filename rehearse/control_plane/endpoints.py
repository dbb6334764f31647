"""Calls of SageMaker's control plane in; endpoints that start, change and end out.

moto keeps the records; what it lacks is here, each with its source. An endpoint is what it says it
is: Creating until its container answers pings, Failed with the reason where it does not.
"""

from __future__ import annotations

from typing import Any

from moto.core.utils import utcnow
from moto.sagemaker import models
from moto.sagemaker.exceptions import ValidationError

from rehearse.control_plane import containers, rules
from rehearse.control_plane.registry import Registry, alone
from rehearse.data_plane.hosting import Done


class SageMaker(Registry):
    """The endpoints of one region."""

    @alone
    def create_endpoint_config(  # type: ignore[override]  # the rest by name
        self, endpoint_config_name: str, production_variants: list[dict[str, Any]], **rest: Any
    ) -> models.FakeEndpointConfig:
        rules.name(endpoint_config_name, "endpointConfigName")
        self.must_be_new("endpoint configuration", endpoint_config_name, self.endpoint_configs)
        self.validate_production_variants(production_variants)
        rules.variants(production_variants)
        for name in (each["ModelName"] for each in production_variants):
            given = {
                "VpcConfig": self._models[name].vpc_config,
                "EnableNetworkIsolation": name in self.isolated,
                "AsyncInferenceConfig": rest.get("async_inference_config"),
                "DataCaptureConfig": rest.get("data_capture_config"),
            }
            rules.exclusions(production_variants, given)
        return super().create_endpoint_config(endpoint_config_name, production_variants, **rest)

    @alone
    def create_endpoint(
        self, endpoint_name: str, endpoint_config_name: str, tags: list[dict[str, str]]
    ) -> models.FakeEndpoint:
        rules.name(endpoint_name, "endpointName")
        self.must_be_new("endpoint", endpoint_name, self.endpoints)
        variants = self.variants(endpoint_config_name)
        endpoint = super().create_endpoint(endpoint_name, endpoint_config_name, tags)
        endpoint.endpoint_status = "Creating"

        def done(failure: str | None) -> None:
            _settle(endpoint, "InService" if failure is None else "Failed", failure)

        self.hosting.deploy(
            endpoint.arn,
            lambda: containers.prepare(self, self.s3, self.hosting.lifetime, variants),
            done,
        )
        return endpoint

    @alone
    def update_endpoint(self, endpoint_name: str, endpoint_config_name: str) -> str:
        """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html"""
        endpoint = self.in_service(endpoint_name)
        variants = self.variants(endpoint_config_name)
        rules.update(endpoint.production_variants, variants)
        endpoint.endpoint_status = "Updating"

        def done(failure: str | None) -> None:
            if failure is None:
                endpoint.endpoint_config_name = endpoint_config_name
                endpoint.production_variants = endpoint._process_production_variants(variants)
            # A failed update leaves what served before:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
            _settle(endpoint, "InService", failure)

        self.hosting.deploy(
            endpoint.arn,
            lambda: containers.prepare(self, self.s3, self.hosting.lifetime, variants),
            done,
        )
        return str(endpoint.arn)

    @alone
    def update_endpoint_weights_and_capacities(
        self, endpoint_name: str, desired_weights_and_capacities: list[dict[str, Any]]
    ) -> str:
        """Also ServerlessUpdateConfig, which moto lacks.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DesiredWeightAndCapacity.html
        """
        endpoint = self.in_service(endpoint_name)
        records = {each["VariantName"]: each for each in endpoint.production_variants}
        for desired in desired_weights_and_capacities:
            if (name := desired["VariantName"]) not in records:
                raise ValidationError(
                    f'The variant name(s) "{name}" is/are not present within endpoint '
                    f'configuration "{endpoint.endpoint_config_name}".'
                )
        plan = {
            each["VariantName"]: rules.changes(records[each["VariantName"]], each)
            for each in desired_weights_and_capacities
        }
        endpoint.endpoint_status = "Updating"
        wanted = [
            containers.resized(each, {**records[name], **plan.get(name, {})})
            for name, each in self.hosting.variants(endpoint.arn).items()
        ]

        def done(failure: str | None) -> None:
            if failure is None:
                for name, changes in plan.items():
                    records[name].update(changes)
            _settle(endpoint, "InService", failure)

        self.hosting.resize(endpoint.arn, wanted, done)
        return str(endpoint.arn)

    def _deploy(
        self, endpoint: models.FakeEndpoint, variants: list[dict[str, Any]], done: Done
    ) -> None:
        lifetime = self.hosting.lifetime
        self.hosting.deploy(
            endpoint.arn, lambda: containers.prepare(self, self.s3, lifetime, variants), done
        )

    def describe_endpoint(self, endpoint_name: str) -> dict[str, Any]:
        return self.endpoint(endpoint_name).response_object

    def wait_for_endpoint(self, name: str, seconds: float) -> None:
        """Until nothing is under way with it, if it is there."""
        if name in self.endpoints:
            self.hosting.wait(self.endpoints[name].arn, seconds)

    @alone
    def delete_endpoint(self, endpoint_name: str) -> None:
        endpoint = self.idle(endpoint_name)
        endpoint.endpoint_status = "Deleting"

        def done(_: str | None) -> None:
            if self.endpoints.get(endpoint_name) is endpoint:
                del self.endpoints[endpoint_name]

        self.hosting.delete(endpoint.arn, done)

    def describe_endpoint_config(self, endpoint_config_name: str) -> dict[str, Any]:
        self.variants(endpoint_config_name)
        return super().describe_endpoint_config(endpoint_config_name)

    def reset(self) -> None:
        for endpoint in list(self.endpoints.values()):
            self.hosting.delete(endpoint.arn, lambda _: None)
        super().reset()


def _settle(endpoint: models.FakeEndpoint, status: str, failure: str | None) -> None:
    endpoint.failure_reason = failure  # type: ignore[assignment]  # moto's never fail
    endpoint.last_modified_time = utcnow()
    endpoint.endpoint_status = status
