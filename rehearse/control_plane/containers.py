"""Models as CreateModel describes them in; containers with their model on this disk out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from moto.sagemaker.exceptions import ValidationError

from rehearse.data_plane import artifacts
from rehearse.data_plane.lifetime import Lifetime
from rehearse.model import Container, Instance, Serverless, Variant

if TYPE_CHECKING:
    from moto.sagemaker.models import SageMakerModelBackend


def check(backend: SageMakerModelBackend, s3: Any, container: Mapping[str, Any]) -> None:
    """Refuse a container of CreateModel whose package or model data cannot be used."""
    definition = resolve(backend, container)
    try:
        if (found := artifacts.source(definition)) and not artifacts.exists(s3, found[0]):
            raise ValidationError(artifacts.missing(found[0]))
    except artifacts.ArtifactError as error:
        raise ValidationError(str(error)) from error


def resolve(backend: SageMakerModelBackend, container: Mapping[str, Any]) -> dict[str, Any]:
    """Image, model and environment; those of the model package if one is named.

    "For versioned models, the value of this parameter must be set to Approved to deploy the model":
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
    """
    name = container.get("ModelPackageName")
    if not name:
        if not container.get("Image"):
            raise ValidationError("A container needs an Image or a ModelPackageName.")
        return dict(container)
    package = backend.describe_model_package(name)
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


def prepare(
    backend: SageMakerModelBackend,
    s3: Any,
    lifetime: Lifetime,
    variants: list[dict[str, Any]],
) -> list[Variant]:
    """Every variant of a configuration, with a model of its own."""
    made: list[Variant] = []
    try:
        for each in variants:
            inside = container(backend, s3, lifetime, each["ModelName"])
            spec = _spec(each.get("ServerlessConfig"), each)
            weight = each.get("InitialVariantWeight", 1.0)
            made.append(Variant(each["VariantName"], inside, spec, weight))
    except BaseException:
        for variant in made:
            discard(variant.container)
        raise
    return made


def container(
    backend: SageMakerModelBackend, s3: Any, lifetime: Lifetime, model_name: str
) -> Container:
    """The one container of a model; its model data is unpacked, until discard()."""
    model = backend.describe_model(model_name)
    given = [model.primary_container] if model.primary_container else model.containers
    if len(given) != 1:
        raise ValidationError("The rehearsal runs models of one container, not pipelines.")
    definition = resolve(backend, given[0])
    folder = None
    if found := artifacts.source(definition):
        folder = lifetime.folder()
        try:
            artifacts.fetch(s3, *found, folder)
        except BaseException:
            artifacts.remove(folder)
            raise
    return Container(definition["Image"], folder, dict(definition.get("Environment", {})))


def discard(container: Container) -> None:
    """Remove the model that was unpacked for it."""
    if container.model:
        artifacts.remove(container.model)


def resized(variant: Variant, record: Mapping[str, Any]) -> Variant:
    """A running variant with what DescribeEndpoint says it should have."""
    return replace(
        variant,
        spec=_spec(
            record.get("DesiredServerlessConfig"),
            {
                "InstanceType": getattr(variant.spec, "kind", ""),
                "InitialInstanceCount": record.get("DesiredInstanceCount"),
            },
        ),
        weight=record.get("DesiredWeight", variant.weight),
    )


def _spec(
    serverless: Mapping[str, int] | None, instance: Mapping[str, Any]
) -> Serverless | Instance:
    if serverless:
        return Serverless(
            serverless["MemorySizeInMB"],
            serverless["MaxConcurrency"],
            serverless.get("ProvisionedConcurrency") or 0,
        )
    return Instance(instance["InstanceType"], instance.get("InitialInstanceCount") or 1)
