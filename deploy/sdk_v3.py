"""Deploy an image to a serverless endpoint, and ask it: SageMaker SDK 3.

    sdk_v3.py --role ARN --image URI [--model-data s3://.../model.tar.gz]

Version 3 has no Session, Model.deploy or Predictor; its resources mirror the API. Run `pip install
sagemaker`; only its part sagemaker-core is used here.
"""

from __future__ import annotations

import argparse

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sagemaker.core.deserializers import JSONLinesDeserializer
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.serializers import JSONLinesSerializer
from sagemaker.core.shapes import (
    ContainerDefinition,
    ProductionVariant,
    ProductionVariantServerlessConfig,
)
from sagemaker.core.utils.utils import SPECIAL_SNAKE_TO_PASCAL_MAPPINGS, SageMakerClient

LINES = "application/jsonlines"
MEMORY = 1024
# sagemaker-core 2.27 sends "MemorySizeInMb", which boto3 refuses; harmless where that is fixed:
# https://github.com/aws/sagemaker-core/issues/225
SPECIAL_SNAKE_TO_PASCAL_MAPPINGS["memory_size_in_mb"] = "MemorySizeInMB"


def main() -> None:
    """Deploy, and ask."""
    parser = argparse.ArgumentParser(
        description="Deploy with SageMaker SDK 3, serverless, and ask."
    )
    parser.add_argument("--role", required=True, help="ARN of the role, as role.py prints it")
    parser.add_argument("--image", required=True, help="URI, as `build.sh push` prints it")
    parser.add_argument("--model-data", help="s3://BUCKET/KEY of a model.tar.gz")
    parser.add_argument("--name", default="sentiment", help="default: %(default)s")
    given = parser.parse_args()

    # All resources use the client that is made first. A cold start may take longer than the minute
    # that boto3 waits; client.py tells more.
    SageMakerClient(config=Config(read_timeout=250))
    container = ContainerDefinition(
        image=given.image,
        # The platform tells a container neither.
        environment={"MEMORY_SIZE_IN_MB": str(MEMORY), "ENDPOINT_NAME": given.name},
    )
    if given.model_data:
        container.model_data_url = given.model_data
    Model.create(model_name=given.name, primary_container=container, execution_role_arn=given.role)
    EndpointConfig.create(
        endpoint_config_name=given.name,
        production_variants=[
            ProductionVariant(
                variant_name="AllTraffic",
                model_name=given.name,
                serverless_config=ProductionVariantServerlessConfig(
                    memory_size_in_mb=MEMORY, max_concurrency=5
                ),
            )
        ],
    )
    endpoint = Endpoint.create(endpoint_name=given.name, endpoint_config_name=given.name)
    endpoint.wait_for_status("InService")

    endpoint.serializer = JSONLinesSerializer()
    endpoint.deserializer = JSONLinesDeserializer()
    # A list, also of one: the serializer would send the keys of a single dict. The types must be
    # given, since version 3 does not take them from the serializer.
    reviews = [
        {"features": ["I love this product!"]},
        {"features": ["OK, but not great."]},
        {"features": ["This is not the right product."]},
    ]
    answer = endpoint.invoke(reviews, content_type=LINES, accept=LINES)
    for each in answer.body:
        print(each)


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"sdk_v3.py: {error}") from error
