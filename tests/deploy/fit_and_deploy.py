"""Train with SDK 2, deploy what comes of it, and tell as JSON what was seen.

Arguments: a file of examples, the folder of a checkpoint, the name of an image.
"""

from __future__ import annotations

import json
import sys

from sagemaker import Session, get_execution_role
from sagemaker.deserializers import JSONLinesDeserializer
from sagemaker.estimator import Estimator
from sagemaker.serializers import JSONLinesSerializer
from sagemaker.serverless import ServerlessInferenceConfig

data, checkpoint, image = sys.argv[1:]
session = Session()
role = get_execution_role(session)
channels = {
    "train": session.upload_data(data, key_prefix="reviews/train"),
    "encoder": session.upload_data(checkpoint, key_prefix="reviews/encoder"),
}
estimator = Estimator(
    image_uri=image,
    role=role,
    instance_count=1,
    instance_type="ml.m5.large",
    hyperparameters={
        "model_name_or_path": "encoder",
        "epochs": 1,
        "batch_size": 8,
        "max_length": 16,
    },
    metric_definitions=[
        {"Name": "validation:macro_f1", "Regex": "validation_macro_f1=([0-9.]+)"},
        {"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"},
    ],
    sagemaker_session=session,
)
estimator.fit(channels, wait=True)
predictor = estimator.deploy(
    endpoint_name="fitted",
    model_name="fitted",
    serverless_inference_config=ServerlessInferenceConfig(memory_size_in_mb=2048),
    serializer=JSONLinesSerializer(),
    deserializer=JSONLinesDeserializer(),
)
answers = predictor.predict([{"features": [text]} for text in ("great love", "zip broke")])
metrics = estimator.training_job_analytics.dataframe()
print()
print(
    json.dumps(
        {
            "role": role,
            "bucket": session.default_bucket(),
            "job": estimator.latest_training_job.name,
            "model_data": estimator.model_data,
            "metrics": metrics["metric_name"].tolist(),
            "answers": answers,
        }
    )
)
