"""Requests of SageMaker's API that moto's front does not know in; calls of our backend out."""

from __future__ import annotations

import re
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker import models, urls
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.responses import SageMakerResponse

from rehearse.batch.jobs import Logger, TransformJobs
from rehearse.control_plane import rules, shapes
from rehearse.control_plane.endpoints import SageMaker
from rehearse.data_plane.hosting import Hosting
from rehearse.engines import Engine

# botocore's waiters tell so in the user agent (botocore/useragent.py, feature B); the SDKs poll.
WAITS = re.compile(r"\bm/(\S+,)?B(,|\s|$)|AWS-SageMaker-Python-SDK")
# Less than the minute after which boto3 gives up.
HOLD_SECONDS = 50.0


class Backend(SageMaker, TransformJobs):
    """moto's backend of one region, with all that it lacks."""


class Actions(SageMakerResponse):
    """moto finds a method here by the name of the action."""

    @property
    def _ours(self) -> Any:
        """The backend, which has more than moto's."""
        return self.sagemaker_backend

    def call_action(self) -> TYPE_RESPONSE:
        try:
            shapes.check(self._get_action(), self.body)
        except ValidationError as error:
            status, headers, body = self.serialized(ActionResult(error))
            return status, headers, body
        return super().call_action()

    def create_model(self) -> ActionResult:
        answer = super().create_model()
        if self._get_param("EnableNetworkIsolation"):  # moto forgets it
            self._ours.isolated.add(self._get_param("ModelName"))
        return answer

    def create_endpoint_config(self) -> ActionResult:
        given = {name: self._get_param(name) for name in rules.NOT_SERVERLESS}
        rules.exclusions(self._get_param("ProductionVariants") or [], given)
        return super().create_endpoint_config()

    def describe_model(self) -> ActionResult:
        return _given(super().describe_model())

    def describe_endpoint_config(self) -> ActionResult:
        return _given(super().describe_endpoint_config())

    def describe_endpoint(self) -> ActionResult:
        if self._client_waits():
            self._ours.wait_for_endpoint(self._get_param("EndpointName"), HOLD_SECONDS)
        return _given(super().describe_endpoint())

    def describe_transform_job(self) -> ActionResult:
        if self._client_waits():
            self._ours.wait_for_transform_job(self._get_param("TransformJobName"), HOLD_SECONDS)
        return super().describe_transform_job()

    def describe_training_job(self) -> ActionResult:
        """The platform always names a key, if an empty one; SDK 2 counts on it (estimator.py)."""
        described: Any = super().describe_training_job().result
        output = {"KmsKeyId": "", **described["OutputDataConfig"]}
        return ActionResult({**described, "OutputDataConfig": output})

    def update_endpoint(self) -> ActionResult:
        arn = self._ours.update_endpoint(
            endpoint_name=self._get_param("EndpointName"),
            endpoint_config_name=self._get_param("EndpointConfigName"),
        )
        return ActionResult({"EndpointArn": arn})

    def delete_model_package(self) -> ActionResult:
        self._ours.delete_model_package(self._get_param("ModelPackageName"))
        return EmptyResult()

    def delete_model_package_group(self) -> ActionResult:
        self._ours.delete_model_package_group(self._get_param("ModelPackageGroupName"))
        return EmptyResult()

    def stop_transform_job(self) -> ActionResult:
        self._ours.stop_transform_job(self._get_param("TransformJobName"))
        return EmptyResult()

    def _client_waits(self) -> bool:
        """Whether the client sleeps for 5 to 60 seconds unless all is over: answer it then."""
        return WAITS.search(self.headers.get("User-Agent", "")) is not None


def _given(answer: ActionResult) -> ActionResult:
    """Without what nobody gave: moto describes it as {}, and SDK 3 misses its required members."""
    described: Any = answer.result
    return ActionResult({name: value for name, value in described.items() if value != {}})


def install(hosting: Hosting, engine: Engine, logger: Logger, s3: Any) -> None:
    """Let moto use this backend, and answer the calls that it does not know."""
    Backend.hosting, Backend.engine, Backend.s3 = hosting, engine, s3
    # A plain function would become a method.
    Backend.logger = staticmethod(logger)
    models.sagemaker_backends.backend = Backend
    urls.url_paths["{0}/$"] = Actions.dispatch
