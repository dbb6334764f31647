"""Register an image, perhaps with a model in S3, in the model registry; print the ARN.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html. Without --model-data the model
is the one in the image. A version belongs to no endpoint, so MEMORY_SIZE_IN_MB and ENDPOINT_NAME
are set when a model is made of it: see boto3_blog.py.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

TYPES = ["application/jsonlines", "application/json", "text/csv"]


def main() -> None:
    """Register the version, and approve it unless --pending is given."""
    parser = argparse.ArgumentParser(description="Register an image and its model.")
    parser.add_argument("--image", required=True, help="URI, as `build.sh push` prints it")
    parser.add_argument("--model-data", help="s3://BUCKET/KEY of a model.tar.gz")
    parser.add_argument("--group", default="sentiment", help="default: %(default)s")
    parser.add_argument(
        "--pending", action="store_true", help="do not approve: it cannot be deployed yet"
    )
    given = parser.parse_args()

    client = boto3.client("sagemaker")
    if given.group not in groups(client, given.group):
        client.create_model_package_group(
            ModelPackageGroupName=given.group,
            ModelPackageGroupDescription="Sentiment of customer reviews",
        )
    container = {"Image": given.image}
    if given.model_data:
        container["ModelDataUrl"] = given.model_data
    package = client.create_model_package(
        ModelPackageGroupName=given.group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": TYPES,
            "SupportedResponseMIMETypes": TYPES,
        },
    )["ModelPackageArn"]
    if not given.pending:
        client.update_model_package(
            ModelPackageArn=package,
            ModelApprovalStatus="Approved",
            ApprovalDescription="by deploy/registry.py",
        )
        print(f"approved version {package.rsplit('/', 1)[1]} of {given.group}", file=sys.stderr)
    print(package)


def groups(client: Any, part: str) -> set[str]:
    """Return the names of all groups that contain `part`."""
    pages = client.get_paginator("list_model_package_groups").paginate(NameContains=part)
    return {
        each["ModelPackageGroupName"]
        for page in pages
        for each in page["ModelPackageGroupSummaryList"]
    }


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"registry.py: {error}") from error
