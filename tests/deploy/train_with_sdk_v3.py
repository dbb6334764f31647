"""Train with SDK 3, and tell where the model is: DATA CHECKPOINT IMAGE."""

from __future__ import annotations

import sys

from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData

data, checkpoint, image = sys.argv[1:]
session = Session()
bucket = session.default_bucket()
trainer = ModelTrainer(
    training_image=image,
    role=get_execution_role(session),
    base_job_name="with-sdk-3",
    sagemaker_session=session,
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"model_name_or_path": "encoder", "max_steps": 2, "max_length": 16},
)
trainer.train(
    [
        InputData(
            channel_name=name,
            data_source=session.upload_data(path, bucket=bucket, key_prefix=f"reviews/{name}"),
        )
        for name, path in (("train", data), ("encoder", checkpoint))
    ],
    wait=True,
)
