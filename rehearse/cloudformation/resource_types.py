"""Add the CloudFormation types that moto does not know: package groups, alarms, CDK metadata."""

from __future__ import annotations

from typing import Any, ClassVar

from moto.core.common_models import CloudFormationModel
from moto.sagemaker import models


class ModelPackageGroup(CloudFormationModel):
    """AWS::SageMaker::ModelPackageGroup; Ref is its ARN, as with SageMaker's other types."""

    def __init__(self, name: str, arn: str) -> None:
        self.name = name
        self.physical_resource_id = arn

    @staticmethod
    def cloudformation_name_type() -> str:
        return "ModelPackageGroupName"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SageMaker::ModelPackageGroup"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "ModelPackageGroupArn"

    def get_cfn_attribute(self, _: str) -> str:
        return self.physical_resource_id

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> ModelPackageGroup:
        properties = cloudformation_json["Properties"]
        arn = models.sagemaker_backends[account_id][region_name].create_model_package_group(
            resource_name, properties.get("ModelPackageGroupDescription"), properties.get("Tags")
        )
        return cls(resource_name, arn)

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: ModelPackageGroup, *_: Any, **__: Any
    ) -> ModelPackageGroup:
        return original_resource  # what can change is not imitated

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name: str, _: Any, account_id: str, region_name: str
    ) -> None:
        backend: Any = models.sagemaker_backends[account_id][region_name]
        backend.delete_model_package_group(resource_name.split("/")[-1])


class Alarm(CloudFormationModel):
    """AWS::CloudWatch::Alarm; its properties are the parameters of PutMetricAlarm."""

    cloudwatch: ClassVar[Any]  # a boto3 client

    def __init__(self, name: str) -> None:
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_name_type() -> str:
        return "AlarmName"

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr == "Arn"

    def get_cfn_attribute(self, _: str) -> str:
        names = [self.physical_resource_id]
        found = self.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        return str(found[0]["AlarmArn"])

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, *_: Any, **__: Any
    ) -> Alarm:
        properties = {**cloudformation_json["Properties"], "AlarmName": resource_name}
        cls.cloudwatch.put_metric_alarm(**properties)
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Alarm,
        new_resource_name: str,  # noqa: ARG003  # moto names its arguments
        cloudformation_json: Any,
        *_: Any,
        **__: Any,
    ) -> Alarm:
        return cls.create_from_cloudformation_json(
            original_resource.physical_resource_id, cloudformation_json
        )

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name: str, *_: Any) -> None:
        cls.cloudwatch.delete_alarms(AlarmNames=[resource_name])


class CdkMetadata(CloudFormationModel):
    """AWS::CDK::Metadata: which constructs an app of the CDK uses; it makes nothing."""

    def __init__(self, logical_id: str) -> None:
        self.physical_resource_id = logical_id

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::CDK::Metadata"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name: str, *_: Any, **__: Any) -> CdkMetadata:
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: CdkMetadata, *_: Any, **__: Any
    ) -> CdkMetadata:
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, *_: Any, **__: Any) -> None:
        """Delete nothing."""
