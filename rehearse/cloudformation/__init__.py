"""Create, update and delete stacks as CloudFormation does, which moto does not."""

from __future__ import annotations

from typing import Any


def install(cloudwatch: Any) -> None:
    """Let moto use this package; `cloudwatch` is a boto3 client, for alarms."""
    from rehearse.cloudformation import resource_types, resources, stacks, templates
    from rehearse.moto_patches.cloudformation import (
        patch_change_sets,
        patch_checks,
        patch_parameters,
        patch_stacks,
        patch_template_urls,
        patch_templates,
    )
    from rehearse.rehearsal import HOST

    resource_types.Alarm.cloudwatch = cloudwatch
    patch_checks(templates.check, templates.check_name)
    patch_parameters()
    patch_change_sets()
    patch_template_urls(HOST)
    patch_stacks(stacks.attempt)
    patch_templates(stacks.with_referring, resources.HANDLERS)
