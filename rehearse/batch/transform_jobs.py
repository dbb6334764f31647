"""Create and stop transform jobs; each runs in a thread of its own, moto keeps the records."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from moto.core.utils import utcnow
from moto.sagemaker import models
from moto.sagemaker.exceptions import ResourceNotFound, ValidationError

from rehearse.batch.transform import TransformJob
from rehearse.container_engines import ContainerEngine
from rehearse.control_plane import validation
from rehearse.control_plane.models import ModelsBackend, discard
from rehearse.control_plane.one_at_a_time import CHANGING, one_at_a_time
from rehearse.errors import TransformError, TransformStopped, one_line

ENDED = ("Completed", "Failed", "Stopped")


class Logger(Protocol):
    """Makes log(stream, line) for an account and a region."""

    def __call__(self, account_id: str, region: str, /) -> Callable[[str, str], None]: ...


class Charge(Protocol):
    """Takes a job that has run into the bill: its ARN, its TransformResources, its seconds."""

    def __call__(self, arn: str, resources: Mapping[str, Any], seconds: float, /) -> None: ...


class TransformJobsBackend(ModelsBackend):
    """The transform jobs of one region."""

    engine: ClassVar[ContainerEngine]
    logger: ClassVar[Logger]
    charge: ClassVar[Charge]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._stopping: dict[str, threading.Event] = {}
        self._ended: dict[str, threading.Event] = {}

    @one_at_a_time
    def create_transform_job(  # type: ignore[override]  # all of them, by name
        self, **asked: Any
    ) -> models.FakeTransformJob:
        name = asked["transform_job_name"]
        validation.check_name(name, "transformJobName")
        self.must_be_new("transform job", name, self.transform_jobs)
        self.describe_model(asked["model_name"])
        if asked.get("data_processing"):
            raise ValidationError("DataProcessing is not imitated by the rehearsal.")
        validation.check_transform_job(asked)
        job = super().create_transform_job(**asked)
        job.transform_job_status = "InProgress"
        job.transform_end_time = None  # type: ignore[assignment]  # it has not ended
        stopping = self._stopping[name] = threading.Event()
        ended = self._ended[name] = threading.Event()
        self.running.cleanup.in_background(lambda: self._run(job, stopping, ended))
        return job

    def wait_for_transform_job(self, name: str, seconds: float) -> None:
        """Wait until a job has ended, if it is there."""
        if ended := self._ended.get(name):
            ended.wait(seconds)

    @one_at_a_time
    def stop_transform_job(self, transform_job_name: str) -> None:
        """Stop a transform job that has not ended.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTransformJob.html
        """
        job = self.transform_jobs.get(transform_job_name)
        if job is None:
            arn = self.arn("transform-job", transform_job_name)
            raise ResourceNotFound(f"Could not find transform job '{arn}'.")
        if job.transform_job_status in ENDED:
            raise ValidationError(
                f"The request was rejected because the transform job is in status "
                f"{job.transform_job_status}."
            )
        job.transform_job_status = "Stopping"
        self._stopping[transform_job_name].set()

    def reset(self) -> None:
        for each in self._stopping.values():
            each.set()
        super().reset()

    def _run(
        self, job: models.FakeTransformJob, stopping: threading.Event, ended: threading.Event
    ) -> None:
        """Run a job to its end, and record how it has ended."""
        name = job.transform_job_name
        log = self.logger(self.account_id, self.region_name)
        status, reason = "Completed", ""
        try:
            try:
                self._transform(job, stopping, lambda line: log(f"{name}/container", line))
            except TransformError as error:
                log(f"{name}/data-log", error.detail)
                raise
        except TransformStopped:
            status = "Stopped"
        except Exception as error:  # whatever it is, the job has failed and says why
            status, reason = "Failed", one_line(error)
        with CHANGING:
            job.failure_reason = reason
            job.transform_end_time = job.last_modified_time = utcnow()
            job.transform_job_status = status
        ended.set()

    def _transform(
        self, job: models.FakeTransformJob, stopping: threading.Event, log: Callable[[str], None]
    ) -> None:
        container = self.prepare_container(job.model_name)
        begun = time.monotonic()
        try:
            asked, closing = job.response_object, self.running.cleanup.closing
            TransformJob(asked, container, self.s3, self.engine, log, stopping, closing).run()
        finally:
            stopping.set()
            discard(container)
            self.charge(job.arn, job.transform_resources, time.monotonic() - begun)
