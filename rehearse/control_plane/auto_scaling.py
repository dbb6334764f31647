"""Check what Application Auto Scaling is to scale; targets and policies are kept by moto.

The rehearsal itself does not scale.
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-autoscale.html
"""

from __future__ import annotations

from rehearse.moto_patches import patch_auto_scaling

DIMENSION = "sagemaker:variant:DesiredProvisionedConcurrency"


def install() -> None:
    """Let moto take provisioned concurrency, and check what is registered."""
    patch_auto_scaling(DIMENSION, check_target)


def check_target(account_id: str, region: str, resource_id: str) -> None:
    """Refuse a variant that is not there, or has no provisioned concurrency to scale."""
    from moto.applicationautoscaling.exceptions import AWSValidationException
    from moto.sagemaker.models import sagemaker_backends

    if resource_id.count("/") != 3:
        return  # moto refuses it
    _, endpoint, _, name = resource_id.split("/")
    records = sagemaker_backends[account_id][region].endpoints
    variants = records[endpoint].production_variants if endpoint in records else []
    for each in variants:
        config = each.get("CurrentServerlessConfig") or {}
        if each["VariantName"] == name and config.get("ProvisionedConcurrency"):
            return
    raise AWSValidationException(
        f"No variant with provisioned concurrency exists for resource ID: {resource_id}"
    )
