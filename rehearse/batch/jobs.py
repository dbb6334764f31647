"""Calls about transform jobs in, their records out; each job runs in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from moto.core.utils import utcnow
from moto.sagemaker import models
from moto.sagemaker.exceptions import ResourceNotFound, ValidationError
from moto.sagemaker.utils import arn_formatter

from rehearse.batch.inputs import TransformError
from rehearse.batch.transform import Job, Stopped
from rehearse.control_plane import containers, rules
from rehearse.control_plane.registry import CHANGING, Registry, alone
from rehearse.engines import Engine

ENDED = ("Completed", "Failed", "Stopped")


class Logger(Protocol):
    """Makes log(stream, line) for an account and a region."""

    def __call__(self, account: str, region: str, /) -> Callable[[str, str], None]: ...


class TransformJobs(Registry):
    """The transform jobs of one region."""

    engine: ClassVar[Engine]
    logger: ClassVar[Logger]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._stopping: dict[str, threading.Event] = {}
        self._ended: dict[str, threading.Event] = {}

    @alone
    def create_transform_job(  # type: ignore[override]  # all of them, by name
        self, **asked: Any
    ) -> models.FakeTransformJob:
        name = asked["transform_job_name"]
        rules.name(name, "transformJobName")
        self.must_be_new("transform job", name, self.transform_jobs)
        self.describe_model(asked["model_name"])
        if asked.get("data_processing"):
            raise ValidationError("DataProcessing is not imitated by the rehearsal.")
        rules.transform(asked)
        job = super().create_transform_job(**asked)
        job.transform_job_status = "InProgress"
        job.transform_end_time = None  # type: ignore[assignment]  # it has not ended
        stopping = self._stopping[name] = threading.Event()
        ended = self._ended[name] = threading.Event()
        self.hosting.lifetime.background(lambda: self._run(job, stopping, ended))
        return job

    def wait_for_transform_job(self, name: str, seconds: float) -> None:
        """Until it has ended, if it is there."""
        if ended := self._ended.get(name):
            ended.wait(seconds)

    @alone
    def stop_transform_job(self, transform_job_name: str) -> None:
        """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTransformJob.html"""
        job = self.transform_jobs.get(transform_job_name)
        if job is None:
            arn = arn_formatter("transform-job", transform_job_name, *self.place)
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
        name = job.transform_job_name
        log = self.logger(self.account_id, self.region_name)
        status, reason = "Completed", ""
        try:
            try:
                self._work(job, stopping, lambda line: log(f"{name}/container", line))
            except TransformError as error:
                log(f"{name}/data-log", error.detail)
                raise
        except Stopped:
            status = "Stopped"
        except Exception as error:  # whatever it is, the job has failed and says why
            status, reason = "Failed", " ".join(str(error).split()) or type(error).__name__
        with CHANGING:
            job.failure_reason = reason
            job.transform_end_time = job.last_modified_time = utcnow()
            job.transform_job_status = status
        ended.set()

    def _work(
        self, job: models.FakeTransformJob, stopping: threading.Event, log: Callable[[str], None]
    ) -> None:
        lifetime = self.hosting.lifetime
        container = containers.container(self, self.s3, lifetime, job.model_name)
        try:
            asked, closing = job.response_object, lifetime.closing
            Job(asked, container, self.s3, self.engine, log, stopping, closing).run()
        finally:
            stopping.set()
            containers.discard(container)
