"""Keep what is known of a training job, as DescribeTrainingJob tells it.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from moto.core.utils import camelcase_to_underscores, utcnow
from moto.sagemaker import models

# Of the request, what moto's record takes.
MOTOS = (
    "TrainingJobName HyperParameters AlgorithmSpecification RoleArn InputDataConfig "
    "OutputDataConfig ResourceConfig VpcConfig StoppingCondition Tags EnableNetworkIsolation "
    "EnableInterContainerTrafficEncryption EnableManagedSpotTraining CheckpointConfig "
    "DebugHookConfig DebugRuleConfigurations TensorBoardOutputConfig ExperimentConfig"
).split()
FLAGS = (
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
)
# What the SDKs show while they wait. The documentation has some of these messages:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SecondaryStatusTransition.html
# Others were seen in https://github.com/aws/amazon-sagemaker-examples/issues/842 and
# https://github.com/aws/sagemaker-python-sdk/issues/1968; those of the other ends are ours.
MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
# The status that goes with a secondary status, where that is not InProgress.
STATUSES = {
    "Stopping": "Stopping",
    "Completed": "Completed",
    "Failed": "Failed",
    "Stopped": "Stopped",
    "MaxRuntimeExceeded": "Stopped",
}
ENDED = ("Completed", "Failed", "Stopped")


class TrainingJobRecord(models.FakeTrainingJob):
    """What moto lists, tags and searches; a change needs the lock of the control plane."""

    def __init__(self, account_id: str, region: str, asked: Mapping[str, Any]) -> None:
        # moto puts metric definitions of its own into what it is given.
        given: dict[str, Any] = {
            camelcase_to_underscores(name): copy.deepcopy(asked.get(name)) for name in MOTOS
        }
        super().__init__(account_id=account_id, region_name=region, **given)
        self.asked = {name: value for name, value in asked.items() if name != "Tags"}
        output = asked["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        self.model_url = f"{output}/{self.training_job_name}/output/model.tar.gz"
        self.model_artifacts = {"S3ModelArtifacts": self.model_url}
        self.metrics: dict[str, dict[str, Any]] = {}
        self.failure_reason = ""
        self.training_start_time = self.training_end_time = None  # type: ignore[assignment]  # yet
        self.secondary_status_transitions = []
        self.enter("Starting")

    @property
    def ended(self) -> bool:
        """Return whether it is over."""
        return self.training_job_status in ENDED

    def enter(self, secondary: str) -> None:
        """Take note that a secondary status begins, and the one before has ended."""
        now = utcnow()
        # A job that is being stopped is so until it is over.
        if self.training_job_status != "Stopping" or secondary in STATUSES:
            self.training_job_status = STATUSES.get(secondary, "InProgress")
        if self.secondary_status_transitions:
            self.secondary_status_transitions[-1]["EndTime"] = now
        self.secondary_status = secondary
        self.secondary_status_transitions.append(
            {"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]}
        )
        self.last_modified_time = now
        if secondary == "Downloading":
            self.training_start_time = now
        if self.ended:
            self.secondary_status_transitions[-1]["EndTime"] = self.training_end_time = now

    def measured(self, name: str, value: float) -> None:
        """Take note of the last value of a metric."""
        self.metrics[name] = {"MetricName": name, "Value": value, "Timestamp": utcnow()}

    @property
    def response_object(self) -> dict[str, Any]:
        """Return what DescribeTrainingJob answers: what was asked, and what came of it."""
        output = {"KmsKeyId": "", **self.asked["OutputDataConfig"]}  # as AWS; SDK 2 counts on it
        found: dict[str, Any] = {
            **dict.fromkeys(FLAGS, False),
            **self.asked,
            "OutputDataConfig": output,
            **self.summary(),
            "ModelArtifacts": self.model_artifacts,
            "SecondaryStatusTransitions": self.secondary_status_transitions,
            "FinalMetricDataList": list(self.metrics.values()),
            "TrainingStartTime": self.training_start_time,
            "FailureReason": self.failure_reason,
        }
        if self.training_start_time and self.training_end_time:
            seconds = (self.training_end_time - self.training_start_time).total_seconds()
            found["TrainingTimeInSeconds"] = max(math.ceil(seconds), 1)
            found["BillableTimeInSeconds"] = found["TrainingTimeInSeconds"]
        return {name: value for name, value in found.items() if value not in (None, "", [])}

    def gen_response_object(self) -> dict[str, Any]:
        """Return what Search tells of it: the same, and its tags."""
        return {**self.response_object, "Tags": self.tags}

    def summary(self) -> dict[str, Any]:
        """Return what ListTrainingJobs tells of it."""
        found = {
            "TrainingJobName": self.training_job_name,
            "TrainingJobArn": self.arn,
            "CreationTime": self.creation_time,
            "TrainingEndTime": self.training_end_time,
            "LastModifiedTime": self.last_modified_time,
            "TrainingJobStatus": self.training_job_status,
            "SecondaryStatus": self.secondary_status,
        }
        return {name: value for name, value in found.items() if value is not None}
