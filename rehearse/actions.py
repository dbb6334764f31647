"""Requests of SageMaker's API that moto's front does not know in; calls of our backend out."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker import models, urls
from moto.sagemaker.responses import SageMakerResponse

from rehearse.control import SageMaker
from rehearse.engines import Engine
from rehearse.hosting import Hosting
from rehearse.jobs import Logger, TransformJobs


class Backend(SageMaker, TransformJobs):
    """moto's backend of one region, with all that it lacks."""


class Actions(SageMakerResponse):
    """moto finds a method here by the name of the action."""

    def describe_model(self) -> ActionResult:
        return _given(super().describe_model())

    def describe_endpoint_config(self) -> ActionResult:
        return _given(super().describe_endpoint_config())

    def describe_endpoint(self) -> ActionResult:
        return _given(super().describe_endpoint())

    def describe_training_job(self) -> ActionResult:
        """The platform always names a key, if an empty one; SDK 2 counts on it (estimator.py)."""
        described: Any = super().describe_training_job().result
        output = {"KmsKeyId": "", **described["OutputDataConfig"]}
        return ActionResult({**described, "OutputDataConfig": output})

    def update_endpoint(self) -> ActionResult:
        arn = self.sagemaker_backend.update_endpoint(  # type: ignore[attr-defined]  # control.py
            endpoint_name=self._get_param("EndpointName"),
            endpoint_config_name=self._get_param("EndpointConfigName"),
        )
        return ActionResult({"EndpointArn": arn})

    def delete_model_package(self) -> ActionResult:
        self.sagemaker_backend.delete_model_package(  # type: ignore[attr-defined]  # control.py
            self._get_param("ModelPackageName")
        )
        return EmptyResult()

    def delete_model_package_group(self) -> ActionResult:
        self.sagemaker_backend.delete_model_package_group(  # type: ignore[attr-defined]  # control.py
            self._get_param("ModelPackageGroupName")
        )
        return EmptyResult()

    def stop_transform_job(self) -> ActionResult:
        self.sagemaker_backend.stop_transform_job(  # type: ignore[attr-defined]  # jobs.py
            self._get_param("TransformJobName")
        )
        return EmptyResult()


def _given(answer: ActionResult) -> ActionResult:
    """Without what nobody gave: moto describes it as {}, and SDK 3 misses its required members."""
    described: Any = answer.result
    return ActionResult({name: value for name, value in described.items() if value != {}})


def install(hosting: Hosting, engine: Engine, logger: Logger, s3: Any, hold_seconds: float) -> None:
    """Let moto use this backend, and answer the calls that it does not know."""
    Backend.hosting, Backend.engine, Backend.s3 = hosting, engine, s3
    # A plain function would become a method.
    Backend.logger = staticmethod(logger)
    Backend.hold_seconds = hold_seconds
    models.sagemaker_backends.backend = Backend
    urls.url_paths["{0}/$"] = Actions.dispatch
