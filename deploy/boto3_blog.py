"""An approved model package in, the first answer of a serverless endpoint out: boto3.

The steps and figures of AWS's announcement of Serverless Inference:
https://aws.amazon.com/blogs/aws/amazon-sagemaker-serverless-inference-machine-learning-inference-without-worrying-about-servers/
"""

from __future__ import annotations

import argparse
import json

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def main() -> None:
    """Model, endpoint configuration, endpoint, answer."""
    parser = argparse.ArgumentParser(description="Deploy a model package, serverless, and ask it.")
    parser.add_argument("--package", required=True, help="its ARN, as registry.py prints it")
    parser.add_argument("--role", required=True, help="ARN of the role, as role.py prints it")
    parser.add_argument("--name", default="sentiment", help="default: %(default)s")
    given = parser.parse_args()

    client = boto3.client("sagemaker")
    client.create_model(
        ModelName=given.name,
        ExecutionRoleArn=given.role,
        Containers=[{"ModelPackageName": given.package}],
    )
    client.create_endpoint_config(
        EndpointConfigName=given.name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": given.name,
                # The default model needs 1024. Accounts that are new get 3072 at most.
                "ServerlessConfig": {"MemorySizeInMB": 5120, "MaxConcurrency": 5},
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
