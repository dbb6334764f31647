"""Create, update and delete stacks as CloudFormation does, which moto does not."""

from __future__ import annotations

from typing import Any


def install(cloudwatch: Any) -> None:
    """Let moto use this package; `cloudwatch` is a boto3 client, for alarms."""
    from rehearse import moto_patches
    from rehearse.cloudformation import resource_types, resources, stacks

    resource_types.Alarm.cloudwatch = cloudwatch
    moto_patches.patch_stacks(stacks.attempt)
    moto_patches.patch_templates(stacks.with_referring, resources.HANDLERS)
