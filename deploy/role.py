"""A name in; the execution role of the endpoint out: its ARN, made where it is missing.

It may do what a model of this image needs, and nothing else:
https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

REPOSITORY = "sagemaker-serverless-sentiment"


def trust(account: str) -> dict[str, Any]:
    """Who may take the role: SageMaker, for this account.

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
    """What the role may do."""
    group = f"arn:{partition}:logs:{region}:{account}:log-group:/aws/sagemaker/Endpoints/*"
    statements = [
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
            "Sid": "LogInToTheRegistry",  # knows no resources
            "Effect": "Allow",
            "Action": "ecr:GetAuthorizationToken",
            "Resource": "*",
        },
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
            "Sid": "WriteMetrics",  # knows no resources
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


def main() -> None:
    """Make the role, or give it these rights again."""
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

    session = boto3.Session()
    iam = session.client("iam")
    _, partition, _, _, account, _ = (
        session.client("sts").get_caller_identity()["Arn"].split(":", 5)
    )
    try:
        role, wait = iam.get_role(RoleName=given.name)["Role"], 0.0
    except iam.exceptions.NoSuchEntityException:
        role, wait = (
            iam.create_role(
                RoleName=given.name, AssumeRolePolicyDocument=json.dumps(trust(account))
            )["Role"],
            given.wait,
        )
        iam.get_waiter("role_exists").wait(RoleName=given.name)
    document = policy(partition, session.region_name, account, given.repository, given.bucket)
    iam.put_role_policy(
        RoleName=given.name, PolicyName="endpoint", PolicyDocument=json.dumps(document)
    )
    # IAM says that it is there before all others know it:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    time.sleep(wait)
    print(role["Arn"])


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"role.py: {error}") from error
