"""Deploy an approved model package to a serverless endpoint, and ask it: boto3.

The steps of AWS's announcement of Serverless Inference:
https://aws.amazon.com/blogs/aws/amazon-sagemaker-serverless-inference-machine-learning-inference-without-worrying-about-servers/
"""

from __future__ import annotations

import argparse
import json

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantServerlessConfig.html
MEMORY_SIZES_MB = range(1024, 6145, 1024)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Deploy a model package, serverless, and ask it.")
    parser.add_argument("--package", required=True, help="its ARN, as registry.py prints it")
    parser.add_argument("--role", required=True, help="ARN of the role, as role.py prints it")
    parser.add_argument("--name", default="sentiment", help="default: %(default)s")
    # New accounts get 3072 at most, so the 5120 of the announcement fails there.
    parser.add_argument(
        "--memory",
        type=int,
        default=1024,
        choices=MEMORY_SIZES_MB,
        metavar="MB",
        help="1024 to 6144 (default: %(default)s, which is enough for the default model)",
    )
    return parser.parse_args()


def main() -> None:
    """Make model, endpoint configuration and endpoint, and ask it."""
    given = arguments()
    client = boto3.client("sagemaker")
    client.create_model(
        ModelName=given.name,
        ExecutionRoleArn=given.role,
        Containers=[
            {
                "ModelPackageName": given.package,
                # The platform tells a container neither. Since 2023 a model may have variables
                # besides those of its package:
                # https://github.com/aws/sagemaker-python-sdk/pull/3581
                "Environment": {
                    "MEMORY_SIZE_IN_MB": str(given.memory),
                    "ENDPOINT_NAME": given.name,
                },
            }
        ],
    )
    client.create_endpoint_config(
        EndpointConfigName=given.name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": given.name,
                "ServerlessConfig": {"MemorySizeInMB": given.memory, "MaxConcurrency": 5},
            }
        ],
    )
    client.create_endpoint(EndpointName=given.name, EndpointConfigName=given.name)
    client.get_waiter("endpoint_in_service").wait(EndpointName=given.name)

    # A cold start may take longer than the minute that boto3 waits; client.py tells more.
    runtime = boto3.client("sagemaker-runtime", config=Config(read_timeout=250))
    response = runtime.invoke_endpoint(
        EndpointName=given.name,
        ContentType="application/jsonlines",
        Accept="application/jsonlines",
        Body=json.dumps({"features": ["I love this product!"]}),
    )
    print(response["Body"].read().decode().strip())


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"boto3_blog.py: {error}") from error
