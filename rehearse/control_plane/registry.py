"""Models and model packages in, records that are sound out; what moto leaves unchecked is here.

And what every part of ours asks of the records: what there is, and what may be changed now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar, ParamSpec, TypeVar

from moto.sagemaker import models, urls
from moto.sagemaker.exceptions import ConflictException, ValidationError
from moto.sagemaker.utils import arn_formatter

from rehearse.control_plane import rules
from rehearse.control_plane.containers import check
from rehearse.data_plane.hosting import Hosting

P = ParamSpec("P")
R = TypeVar("R")
# moto answers each request in a thread of its own, and locks nothing.
CHANGING = threading.RLock()
UNDER_WAY = ("Creating", "Updating", "Deleting")


def alone(change: Callable[P, R]) -> Callable[P, R]:
    """One change at a time: what is checked is still so when it is recorded."""

    @wraps(change)
    def locked(*given: P.args, **named: P.kwargs) -> R:
        with CHANGING:
            return change(*given, **named)

    return locked


class Registry(models.SageMakerModelBackend):
    """moto's backend of one region, with what every part of ours needs."""

    hosting: ClassVar[Hosting]
    # A boto3 client of S3; the models of all regions lie in the one S3 of the rehearsal.
    s3: ClassVar[Any]

    @property
    def _url_module(self) -> Any:
        return urls  # moto looks beside the module of the class

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._versions: dict[str, int] = {}
        self.isolated: set[str] = set()  # models with EnableNetworkIsolation

    @alone
    def create_model(
        self,
        model_name: str,
        execution_role_arn: str,
        primary_container: dict[str, Any] | None,
        vpc_config: dict[str, Any] | None,
        containers: list[dict[str, Any]] | None,
        tags: list[dict[str, str]] | None,
    ) -> models.Model:
        rules.name(model_name, "modelName")
        self.must_be_new("model", model_name, self._models)
        if primary_container and containers:
            raise ValidationError("PrimaryContainer and Containers cannot both be given.")
        given = [primary_container] if primary_container else containers or []
        if not given:
            raise ValidationError("Either PrimaryContainer or Containers must be given.")
        for container in given:
            check(self, self.s3, container)
        return super().create_model(
            model_name, execution_role_arn, primary_container, vpc_config, containers, tags
        )

    @alone
    def create_model_package(self, **asked: Any) -> str:  # type: ignore[override]  # all, by name
        """Versions of a group count on, whatever was deleted; moto counts what is there."""
        group = asked.get("model_package_group_name")
        if group not in self.model_package_groups:
            return super().create_model_package(**asked)
        # Made where it is alone, so that its number can be set before anybody sees it.
        aside = models.SageMakerModelBackend(self.region_name, self.account_id)
        aside.model_package_groups = self.model_package_groups
        made = aside.model_packages[aside.create_model_package(**asked)]
        self._versions[group] = made.model_package_version = self._versions.get(group, 0) + 1
        made.arn = f"{made.arn.rpartition('/')[0]}/{made.model_package_version}"
        self.model_packages[made.arn] = made
        self.model_package_name_mapping |= {group: made.arn, made.arn: made.arn}
        return str(made.arn)

    @alone
    def delete_model_package(self, model_package_name: str) -> None:
        """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackage.html"""
        package = self.describe_model_package(model_package_name)
        del self.model_packages[package.arn]
        for key, arn in list(self.model_package_name_mapping.items()):
            if arn == package.arn:
                del self.model_package_name_mapping[key]

    @alone
    def delete_model_package_group(self, model_package_group_name: str) -> None:
        """Only an empty group can be deleted.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackageGroup.html
        """
        group = self.describe_model_package_group(model_package_group_name)
        if any(
            each.model_package_group_name == group.model_package_group_name
            for each in self.model_packages.values()
        ):
            raise ConflictException(
                f"Model Package Group {group.arn} cannot be deleted: it still has model packages."
            )
        del self.model_package_groups[group.model_package_group_name]

    def must_be_new(self, kind: str, name: str, records: Mapping[str, Any]) -> None:
        """Refuse a name that is taken, in the platform's words."""
        if name in records:
            arn = arn_formatter(kind.replace(" configuration", "-config"), name, *self.place)
            raise ValidationError(f'Cannot create already existing {kind} "{arn}".')

    def variants(self, name: str) -> list[dict[str, Any]]:
        """Those of an endpoint configuration."""
        if name not in self.endpoint_configs:
            arn = arn_formatter("endpoint-config", name, *self.place)
            raise ValidationError(f'Could not find endpoint configuration "{arn}".')
        found: list[dict[str, Any]] = self.endpoint_configs[name].production_variants
        for each in found:
            self.describe_model(each["ModelName"])  # it may have been deleted
        return found

    def endpoint(self, name: str) -> models.FakeEndpoint:
        """The record of one."""
        if name not in self.endpoints:
            raise ValidationError(
                f'Could not find endpoint "{arn_formatter("endpoint", name, *self.place)}".'
            )
        return self.endpoints[name]

    def idle(self, name: str) -> models.FakeEndpoint:
        """An endpoint that can be changed or deleted now; the words are the platform's."""
        endpoint = self.endpoint(name)
        if endpoint.endpoint_status in UNDER_WAY:
            raise ValidationError(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def in_service(self, name: str) -> models.FakeEndpoint:
        """An endpoint that can be updated now."""
        endpoint = self.idle(name)
        if endpoint.endpoint_status == "Failed":
            raise ValidationError(
                f'Cannot update endpoint "{endpoint.arn}" with status "Failed"; delete it first.'
            )
        return endpoint

    @property
    def place(self) -> tuple[str, str]:
        """Account and region, as ARNs want them."""
        return self.account_id, self.region_name
