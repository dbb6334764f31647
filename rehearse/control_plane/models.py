"""Create models; make the containers of models ready to run.

moto keeps the records; what it leaves unchecked is checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, ClassVar

from moto.sagemaker import models
from moto.sagemaker.exceptions import ValidationError
from moto.utilities.paginator import paginate

from rehearse.control_plane import validation
from rehearse.control_plane.model_packages import ModelPackagesBackend
from rehearse.control_plane.one_at_a_time import one_at_a_time
from rehearse.data_plane import artifacts
from rehearse.data_plane.endpoints import Endpoints
from rehearse.data_types import (
    ContainerDefinition,
    InstanceConfig,
    ProductionVariant,
    ServerlessConfig,
    VariantConfig,
)
from rehearse.errors import ArtifactError

# A page holds 100 at most (MaxResults in botocore's service model); a default is not published.
PAGES = {
    "list_models": {
        "input_token": "next_token",
        "limit_key": "max_results",
        "limit_default": 100,
        "unique_attribute": "arn",
    }
}


class ModelsBackend(ModelPackagesBackend):
    """The models of one region."""

    # What runs, of all regions.
    running: ClassVar[Endpoints]
    # A boto3 client of S3; the models of all regions lie in the one S3 of the rehearsal.
    s3: ClassVar[Any]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.isolated: set[str] = set()  # models with EnableNetworkIsolation

    @one_at_a_time
    def create_model(
        self,
        model_name: str,
        execution_role_arn: str,
        primary_container: dict[str, Any] | None,
        vpc_config: dict[str, Any] | None,
        containers: list[dict[str, Any]] | None,
        tags: list[dict[str, str]] | None,
    ) -> models.Model:
        validation.check_name(model_name, "modelName")
        self.must_be_new("model", model_name, self.models)
        if primary_container and containers:
            raise ValidationError("PrimaryContainer and Containers cannot both be given.")
        given = [primary_container] if primary_container else containers or []
        if not given:
            raise ValidationError("Either PrimaryContainer or Containers must be given.")
        for container in given:
            self._check_artifacts(container)
        return super().create_model(
            model_name, execution_role_arn, primary_container, vpc_config, containers, tags
        )

    @paginate(pagination_model=PAGES)
    def list_models(  # type: ignore[override]  # moto takes nothing
        self,
        *,
        name_contains: str = "",
        creation_time_before: datetime | None = None,
        creation_time_after: datetime | None = None,
        sort_by: str = "CreationTime",
        sort_order: str = "Descending",
    ) -> list[models.Model]:
        """List models; what is not said is as in botocore's service model (ListModels)."""
        found = [
            each
            for each in self.models.values()
            if name_contains in each.model_name
            and (creation_time_before is None or each.creation_time < creation_time_before)
            and (creation_time_after is None or each.creation_time >= creation_time_after)
        ]
        by: Callable[[models.Model], Any] = (
            attrgetter("model_name") if sort_by == "Name" else attrgetter("creation_time")
        )
        return sorted(found, key=by, reverse=sort_order == "Descending")

    def prepare_variants(self, variants: list[dict[str, Any]]) -> list[ProductionVariant]:
        """Make every variant of a configuration ready to run, with a model of its own."""
        made: list[ProductionVariant] = []
        try:
            for each in variants:
                container = self.prepare_container(each["ModelName"])
                config = variant_config(each.get("ServerlessConfig"), each)
                weight = each.get("InitialVariantWeight", 1.0)
                made.append(ProductionVariant(each["VariantName"], container, config, weight))
        except BaseException:
            for variant in made:
                discard(variant.container)
            raise
        return made

    def prepare_container(self, model_name: str) -> ContainerDefinition:
        """Return the one container of a model, its artifacts unpacked until discard()."""
        model = self.describe_model(model_name)
        given = [model.primary_container] if model.primary_container else model.containers
        if len(given) != 1:
            raise ValidationError("The rehearsal runs models of one container, not pipelines.")
        definition = self._resolve(given[0])
        folder = None
        if found := artifacts.source(definition):
            folder = self.running.cleanup.new_folder()
            try:
                artifacts.fetch(self.s3, *found, folder)
            except BaseException:
                artifacts.remove(folder)
                raise
        environment = dict(definition.get("Environment", {}))
        return ContainerDefinition(definition["Image"], folder, environment)

    def _check_artifacts(self, container: Mapping[str, Any]) -> None:
        """Refuse a container of CreateModel whose package or artifacts cannot be used."""
        if container.get("Mode") == "MultiModel":
            raise ValidationError("Mode MultiModel is not imitated by the rehearsal.")
        definition = self._resolve(container)
        try:
            found = artifacts.source(definition)
            if found and not artifacts.exists(self.s3, found[0]):
                raise ValidationError(artifacts.missing(found[0]))
        except ArtifactError as error:
            raise ValidationError(str(error)) from error

    def _resolve(self, container: Mapping[str, Any]) -> dict[str, Any]:
        """Return a container with what its model package says, if it names one.

        "For versioned models, the value of this parameter must be set to Approved to deploy the
        model":
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
        """
        name = container.get("ModelPackageName")
        if not name:
            if not container.get("Image"):
                raise ValidationError("A container needs an Image or a ModelPackageName.")
            return dict(container)
        package = self.describe_model_package(name)
        status = package.model_approval_status
        if package.model_package_version is not None and status != "Approved":
            raise ValidationError(
                f"Model package {package.arn} has the approval status {status}; "
                "it must be Approved to be deployed."
            )
        inside = (package.inference_specification or {}).get("Containers") or [{}]
        if len(inside) > 1:
            raise ValidationError("The rehearsal runs models of one container, not pipelines.")
        if not inside[0].get("Image"):
            raise ValidationError(f"Model package {package.arn} names no Image.")
        environment = {**inside[0].get("Environment", {}), **container.get("Environment", {})}
        return {**inside[0], "Environment": environment}

    def must_be_new(self, kind: str, name: str, records: Mapping[str, Any]) -> None:
        """Refuse a name that is taken, in the platform's words."""
        if name in records:
            arn = self.arn(kind.replace(" configuration", "-config"), name)
            raise ValidationError(f'Cannot create already existing {kind} "{arn}".')


def discard(container: ContainerDefinition) -> None:
    """Remove the artifacts that were unpacked for a container."""
    if container.model_dir:
        artifacts.remove(container.model_dir)


def variant_config(
    serverless: Mapping[str, int] | None, instance: Mapping[str, Any]
) -> VariantConfig:
    """Return what a ServerlessConfig says, or else InstanceType and InitialInstanceCount."""
    if serverless:
        return ServerlessConfig(
            serverless["MemorySizeInMB"],
            serverless["MaxConcurrency"],
            serverless.get("ProvisionedConcurrency") or 0,
        )
    return InstanceConfig(instance["InstanceType"], instance.get("InitialInstanceCount") or 1)
