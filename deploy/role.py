"""Make the execution role of an endpoint, unless there is one, and print its ARN.

It may do what a model of this image needs and nothing else:
https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

REPOSITORY = "sagemaker-serverless-sentiment"
POLICY = "endpoint"


def trust(account: str) -> dict[str, Any]:
    """Return the policy that lets SageMaker take the role, for this account only.

    https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }


def policy(
    partition: str, region: str, account: str, repository: str, bucket: str | None
) -> dict[str, Any]:
    """Return the policy with the rights of the role."""
    statements = [
        *pull_rights(partition, region, account, repository),
        *log_rights(partition, region, account),
    ]
    if bucket:
        statements.append(
            {
                "Sid": "ReadTheModel",
                "Effect": "Allow",
                "Action": "s3:GetObject",
                "Resource": f"arn:{partition}:s3:::{bucket}/*",
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def pull_rights(partition: str, region: str, account: str, repository: str) -> list[dict[str, Any]]:
    """Return the rights to pull an image of one repository."""
    return [
        {
            "Sid": "PullTheImage",
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": f"arn:{partition}:ecr:{region}:{account}:repository/{repository}",
        },
        {
            "Sid": "LogInToTheRegistry",  # cannot be limited to a resource
            "Effect": "Allow",
            "Action": "ecr:GetAuthorizationToken",
            "Resource": "*",
        },
    ]


def log_rights(partition: str, region: str, account: str) -> list[dict[str, Any]]:
    """Return the rights to write an endpoint's log and its metrics."""
    group = f"arn:{partition}:logs:{region}:{account}:log-group:/aws/sagemaker/Endpoints/*"
    return [
        {
            "Sid": "WriteLogs",
            "Effect": "Allow",
            "Action": [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            "Resource": group,
        },
        {
            "Sid": "WriteMetrics",  # cannot be limited to a resource
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/Endpoints"]
                }
            },
        },
    ]


def name_for(endpoint: str) -> str:
    """Name the role of one endpoint; 64 characters are allowed, and ENDPOINT may have 63."""
    return f"{endpoint[:55]}-endpoint"


def make(
    name: str,
    repository: str = REPOSITORY,
    bucket: str | None = None,
    wait: float = 10,
    tags: Sequence[Mapping[str, str]] = (),
) -> str:
    """Make the role, or renew the rights of one that is there, and return its ARN.

    Only a new role gets the tags, and only after a new one `wait` seconds pass.
    """
    session = boto3.Session()
    iam = session.client("iam")
    _, partition, _, _, account, _ = (
        session.client("sts").get_caller_identity()["Arn"].split(":", 5)
    )
    try:
        role, wait = iam.get_role(RoleName=name)["Role"], 0.0
    except iam.exceptions.NoSuchEntityException:
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(trust(account)),
            Tags=tags,
        )["Role"]
        iam.get_waiter("role_exists").wait(RoleName=name)
    document = policy(partition, session.region_name, account, repository, bucket)
    iam.put_role_policy(RoleName=name, PolicyName=POLICY, PolicyDocument=json.dumps(document))
    # IAM shows a new role before all other services know it:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    time.sleep(wait)
    return str(role["Arn"])


def main() -> None:
    """Make the role and print its ARN."""
    parser = argparse.ArgumentParser(description="Make the execution role of the endpoint.")
    parser.add_argument("--name", default="sentiment-endpoint", help="default: %(default)s")
    parser.add_argument("--repository", default=REPOSITORY, help="in ECR (default: %(default)s)")
    parser.add_argument("--bucket", help="of the model data, if it does not come in the image")
    parser.add_argument(
        "--wait",
        type=float,
        default=10,
        help="seconds until a new role is known everywhere (default: %(default)s)",
    )
    given = parser.parse_args()
    print(make(given.name, given.repository, given.bucket, given.wait))


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"role.py: {error}") from error
