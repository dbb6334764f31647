"""Deploy an image, or the model of a training job, and ask it: SageMaker SDK 2.

    sdk_v2.py --role ARN --image URI                            the model in the image
    sdk_v2.py --role ARN --image URI --model-data s3://.../model.tar.gz
    sdk_v2.py --role ARN --image URI --training-job NAME        the model that the job made

Version 3 of the SDK has none of these classes: see sdk_v3.py. `pip install 'sagemaker<3'`.
"""

from __future__ import annotations

import argparse

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sagemaker.deserializers import JSONLinesDeserializer
from sagemaker.estimator import Estimator
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONLinesSerializer
from sagemaker.serverless import ServerlessInferenceConfig
from sagemaker.session import Session

MEMORY = 1024


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Deploy with SageMaker SDK 2, serverless, and ask."
    )
    parser.add_argument("--role", required=True, help="ARN of the role, as role.py prints it")
    parser.add_argument("--image", required=True, help="URI, as `build.sh push` prints it")
    parser.add_argument("--model-data", help="s3://BUCKET/KEY of a model.tar.gz")
    parser.add_argument("--training-job", help="name of a completed job")
    parser.add_argument("--name", default="sentiment", help="default: %(default)s")
    return parser.parse_args()


def deploy(given: argparse.Namespace, session: Session) -> None:
    """Make the endpoint, and wait until it is in service."""
    # The platform tells a container neither.
    environment = {"MEMORY_SIZE_IN_MB": str(MEMORY), "ENDPOINT_NAME": given.name}
    options = {
        "endpoint_name": given.name,
        "serverless_inference_config": ServerlessInferenceConfig(
            memory_size_in_mb=MEMORY, max_concurrency=5
        ),
    }
    if given.training_job:
        estimator = Estimator.attach(given.training_job, sagemaker_session=session)
        # It would be served with the image that it was trained with.
        estimator.deploy(
            **options,
            image_uri=given.image,
            role=given.role,
            model_name=given.name,
            env=environment,
        )
    else:
        model = Model(
            image_uri=given.image,
            model_data=given.model_data,
            role=given.role,
            name=given.name,
            env=environment,
            sagemaker_session=session,
        )
        model.deploy(**options)


def main() -> None:
    """Deploy, and ask."""
    given = arguments()
    # A cold start may take longer than the minute that boto3 waits; client.py tells more.
    patient = boto3.client("sagemaker-runtime", config=Config(read_timeout=250))
    session = Session(sagemaker_runtime_client=patient)
    deploy(given, session)
    predictor = Predictor(
        given.name,
        sagemaker_session=session,
        serializer=JSONLinesSerializer(),
        deserializer=JSONLinesDeserializer(),
    )
    # A list, also of one: the serializer would send the keys of a single dict.
    reviews = [
        {"features": ["I love this product!"]},
        {"features": ["OK, but not great."]},
        {"features": ["This is not the right product."]},
    ]
    for answer in predictor.predict(reviews):
        print(answer)


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"sdk_v2.py: {error}") from error
