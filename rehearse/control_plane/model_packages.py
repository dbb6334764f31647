"""Create and delete model packages and their groups; moto keeps the records."""

from __future__ import annotations

from typing import Any

from moto.sagemaker import models
from moto.sagemaker.exceptions import ConflictException
from moto.sagemaker.utils import arn_formatter

from rehearse.control_plane.one_at_a_time import one_at_a_time
from rehearse.moto_patches.sagemaker import SageMakerBackend


class ModelPackagesBackend(SageMakerBackend):
    """The model packages of one region.

    A group is named by its name or its ARN (ArnOrName in botocore's service model).
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._versions: dict[str, int] = {}

    @one_at_a_time
    def create_model_package(self, **asked: Any) -> str:  # type: ignore[override]  # all, by name
        """Count versions of a group on, whatever was deleted; moto counts what is there."""
        group = self._group_name(asked.get("model_package_group_name"))
        if group not in self.model_package_groups:
            return super().create_model_package(**asked)
        # Made in a backend of its own, so that its number can be set before anybody sees it.
        aside = models.SageMakerModelBackend(self.region_name, self.account_id)
        aside.model_package_groups = self.model_package_groups
        arn = aside.create_model_package(**{**asked, "model_package_group_name": group})
        made = aside.model_packages[arn]
        self._versions[group] = made.model_package_version = self._versions.get(group, 0) + 1
        made.arn = f"{made.arn.rpartition('/')[0]}/{made.model_package_version}"
        self.model_packages[made.arn] = made
        self.model_package_name_mapping |= {group: made.arn, made.arn: made.arn}
        return str(made.arn)

    @one_at_a_time
    def delete_model_package(self, model_package_name: str) -> None:
        """Delete a version of a model package.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackage.html
        """
        package = self.describe_model_package(model_package_name)
        del self.model_packages[package.arn]
        for key, arn in list(self.model_package_name_mapping.items()):
            if arn == package.arn:
                del self.model_package_name_mapping[key]

    def describe_model_package_group(
        self, model_package_group_name: str
    ) -> models.ModelPackageGroup:
        return super().describe_model_package_group(self._group_name(model_package_group_name))

    @one_at_a_time
    def delete_model_package_group(self, model_package_group_name: str) -> None:
        """Delete a group, which must be empty.

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

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of something of this account and region."""
        return str(arn_formatter(kind, name, self.account_id, self.region_name))

    def _group_name(self, given: str | None) -> str:
        """Return the name of a group of this account and region that is named by its ARN."""
        _, _, name = (given or "").rpartition("/")
        return name if given == self.arn("model-package-group", name) else given or ""
