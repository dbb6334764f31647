"""Answer the actions of SageMaker's API that moto lacks, or answers otherwise than AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores
from moto.sagemaker.exceptions import ValidationError

from rehearse.batch.transform_jobs import Charge, TransformJobsBackend
from rehearse.container_engines import ContainerEngine
from rehearse.control_plane import validation
from rehearse.control_plane.endpoints import EndpointsBackend
from rehearse.data_plane.endpoints import Endpoints
from rehearse.metering.cloudwatch import transform_logger
from rehearse.moto_patches.sagemaker import SageMakerResponses, patch_sagemaker
from rehearse.training_jobs.training_jobs import TrainingJobsBackend

# botocore's waiters tell so in the user agent (botocore/useragent.py, feature B); the SDKs poll.
WAITS = re.compile(r"\bm/(\S+,)?B(,|\s|$)|AWS-SageMaker-Python-SDK")
# Less than the minute after which boto3 gives up.
HOLD_SECONDS = 50.0


LISTED_BY = (
    "NameContains CreationTimeAfter CreationTimeBefore SortBy SortOrder MaxResults NextToken"
).split()
JOBS_LISTED_BY = [*LISTED_BY, "StatusEquals", "LastModifiedTimeAfter", "LastModifiedTimeBefore"]


class Backend(EndpointsBackend, TransformJobsBackend, TrainingJobsBackend):
    """moto's backend of one region, with all that it lacks."""


class Responses(SageMakerResponses):
    """moto's responses, and those of ours: a method by the name of each action."""

    @property
    def _backend(self) -> Any:
        """The backend, which has more than moto's."""
        return self.sagemaker_backend

    def call_action(self) -> TYPE_RESPONSE:
        try:
            validation.check_members(self.action(), self.body)
        except ValidationError as error:
            status, headers, body = self.serialized(ActionResult(error))
            return status, headers, body
        return super().call_action()

    def create_model(self) -> ActionResult:
        answer = super().create_model()
        if self.parameter("EnableNetworkIsolation"):  # moto forgets it
            self._backend.isolated.add(self.parameter("ModelName"))
        return answer

    def create_endpoint_config(self) -> ActionResult:
        given = {name: self.parameter(name) for name in validation.NOT_SERVERLESS}
        validation.check_exclusions(self.parameter("ProductionVariants") or [], given)
        return super().create_endpoint_config()

    def list_models(self) -> ActionResult:
        found, token = self._backend.list_models(**self._given(LISTED_BY))
        summaries = [each.response_object for each in found]
        return ActionResult({"Models": summaries, "NextToken": token})

    def describe_model(self) -> ActionResult:
        return _without_empty(super().describe_model())

    def describe_endpoint_config(self) -> ActionResult:
        return _without_empty(super().describe_endpoint_config())

    def describe_endpoint(self) -> ActionResult:
        if self._client_waits():
            self._backend.wait_for_endpoint(self.parameter("EndpointName"), HOLD_SECONDS)
        return _without_empty(super().describe_endpoint())

    def describe_transform_job(self) -> ActionResult:
        if self._client_waits():
            self._backend.wait_for_transform_job(self.parameter("TransformJobName"), HOLD_SECONDS)
        return super().describe_transform_job()

    def create_training_job(self) -> ActionResult:
        job = self._backend.create_training_job(json.loads(self.body))
        return ActionResult({"TrainingJobArn": job.arn})

    def describe_training_job(self) -> ActionResult:
        if self._client_waits():
            self._backend.wait_for_training_job(self.parameter("TrainingJobName"), HOLD_SECONDS)
        return super().describe_training_job()

    def list_training_jobs(self) -> ActionResult:
        for name in ("WarmPoolStatusEquals", "TrainingPlanArnEquals"):
            if self.parameter(name):
                raise ValidationError(f"{name} is not imitated by the rehearsal.")
        found, token = self._backend.list_training_jobs(**self._given(JOBS_LISTED_BY))
        summaries = [each.summary() for each in found]
        return ActionResult({"TrainingJobSummaries": summaries, "NextToken": token})

    def stop_training_job(self) -> ActionResult:
        self._backend.stop_training_job(self.parameter("TrainingJobName"))
        return EmptyResult()

    def delete_training_job(self) -> ActionResult:
        self._backend.delete_training_job(self.parameter("TrainingJobName"))
        return EmptyResult()

    def update_endpoint(self) -> ActionResult:
        arn = self._backend.update_endpoint(
            endpoint_name=self.parameter("EndpointName"),
            endpoint_config_name=self.parameter("EndpointConfigName"),
        )
        return ActionResult({"EndpointArn": arn})

    def delete_model_package(self) -> ActionResult:
        self._backend.delete_model_package(self.parameter("ModelPackageName"))
        return EmptyResult()

    def delete_model_package_group(self) -> ActionResult:
        self._backend.delete_model_package_group(self.parameter("ModelPackageGroupName"))
        return EmptyResult()

    def stop_transform_job(self) -> ActionResult:
        self._backend.stop_transform_job(self.parameter("TransformJobName"))
        return EmptyResult()

    def _given(self, names: Iterable[str]) -> dict[str, Any]:
        """Return those of these members that the request has, named as arguments."""
        return {
            camelcase_to_underscores(name): value
            for name in names
            if (value := self.parameter(name)) is not None
        }

    def _client_waits(self) -> bool:
        """Return whether the client sleeps for 5 to 60 seconds unless all is over.

        Such a client is answered when it is over.
        """
        return WAITS.search(self.headers.get("User-Agent", "")) is not None


def _without_empty(answer: ActionResult) -> ActionResult:
    """Leave out what nobody gave: moto describes it as {}, and SDK 3 misses required members."""
    described: Any = answer.result
    return ActionResult({name: value for name, value in described.items() if value != {}})


def install(endpoints: Endpoints, engine: ContainerEngine, charge: Charge, s3: Any) -> None:
    """Let moto use this backend and these responses."""
    Backend.running, Backend.engine, Backend.s3 = endpoints, engine, s3
    # Plain functions would become methods.
    Backend.logger, Backend.charge = staticmethod(transform_logger), staticmethod(charge)
    patch_sagemaker(Backend, Responses)
