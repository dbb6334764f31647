"""Create, list, stop and delete training jobs; each runs in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.utilities.paginator import paginate

from rehearse.container_engines import ContainerEngine
from rehearse.control_plane import validation
from rehearse.control_plane.models import ModelsBackend
from rehearse.control_plane.one_at_a_time import CHANGING, one_at_a_time
from rehearse.data_plane import artifacts
from rehearse.errors import RehearsalEnds, TrainingError, one_line
from rehearse.metering.cloudwatch import TrainingMonitor
from rehearse.training_jobs import metrics
from rehearse.training_jobs.folders import HOST
from rehearse.training_jobs.records import TrainingJobRecord
from rehearse.training_jobs.training import Stop, TrainingJob
from rehearse.training_jobs.validation import check_training_job

# A page holds 100 at most (MaxResults in botocore's service model).
PAGES = {
    "list_training_jobs": {
        "input_token": "next_token",
        "limit_key": "max_results",
        "limit_default": 100,
        "unique_attribute": "arn",
    }
}
MODEL_URL = "ModelArtifacts.S3ModelArtifacts"
SORTED_BY = {
    "Name": "training_job_name",
    "CreationTime": "creation_time",
    "Status": "training_job_status",
}


class TrainingJobsBackend(ModelsBackend):
    """The training jobs of one region."""

    engine: ClassVar[ContainerEngine]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._stops: dict[str, Stop] = {}
        self._training_ended: dict[str, threading.Event] = {}

    @one_at_a_time
    def create_training_job(  # type: ignore[override]  # the request as it is
        self, asked: Mapping[str, Any]
    ) -> TrainingJobRecord:
        name = asked["TrainingJobName"]
        validation.check_name(name, "trainingJobName")
        if found := self.training_jobs.get(name):
            # Seen at https://github.com/aws/amazon-sagemaker-examples/pull/3108
            raise ResourceInUseException(
                "Training job names must be unique within an AWS account and region, and a "
                f"training job with this name already exists ({found.arn})"
            )
        check_training_job(asked, self.s3, self.region_name)
        job = TrainingJobRecord(self.account_id, self.region_name, asked)
        self.training_jobs[name] = job
        stop = self._stops[name] = Stop()
        ended = self._training_ended[name] = threading.Event()
        self.running.cleanup.in_background(lambda: self._train(job, stop, ended))
        return job

    def training_job(self, name: str) -> TrainingJobRecord:
        """Return a job; refuse a name that is unknown.

        Not as ResourceNotFound: https://github.com/aws/aws-sdk/issues/165; the words:
        https://github.com/aws/amazon-sagemaker-examples/issues/2360
        """
        found: Any = self.training_jobs.get(name)
        if found is None:
            raise ValidationError("Requested resource not found.")
        job: TrainingJobRecord = found
        return job

    def describe_training_job(self, training_job_name: str) -> dict[str, Any]:
        with CHANGING:
            return self.training_job(training_job_name).response_object

    @paginate(pagination_model=PAGES)
    def list_training_jobs(  # type: ignore[override]  # moto filters after it has cut the page
        self,
        *,
        name_contains: str = "",
        status_equals: str | None = None,
        creation_time_after: datetime | None = None,
        creation_time_before: datetime | None = None,
        last_modified_time_after: datetime | None = None,
        last_modified_time_before: datetime | None = None,
        sort_by: str = "CreationTime",
        sort_order: str = "Descending",
    ) -> list[Any]:
        """List jobs; sorted as botocore's service model says (ListTrainingJobs)."""
        found = [
            each
            for each in self.training_jobs.values()
            if name_contains in each.training_job_name
            and status_equals in (None, each.training_job_status)
            and _between(each.creation_time, creation_time_after, creation_time_before)
            and _between(
                each.last_modified_time, last_modified_time_after, last_modified_time_before
            )
        ]
        by = SORTED_BY[sort_by]
        return sorted(found, key=lambda job: getattr(job, by), reverse=sort_order == "Descending")

    def search(self, resource: Any = None, search_expression: Any = None) -> Any:
        """Search jobs by the address of a model, too, as SDK 2 does in register(); else as moto."""
        if resource != "TrainingJob":
            return super().search(resource, search_expression)
        asked = search_expression or {}
        filters = asked.get("Filters", [])
        urls = [each["Value"] for each in filters if each["Name"] == MODEL_URL]
        others = [each for each in filters if each["Name"] != MODEL_URL]
        with CHANGING:
            found = super().search(resource, {**asked, "Filters": others})
        found["Results"] = [
            each
            for each in found["Results"]
            if all(url == each["TrainingJob"]["ModelArtifacts"]["S3ModelArtifacts"] for url in urls)
        ]
        return found

    def wait_for_training_job(self, name: str, seconds: float) -> None:
        """Wait until a job has ended, if it is there."""
        if ended := self._training_ended.get(name):
            ended.wait(seconds)

    @one_at_a_time
    def stop_training_job(self, name: str) -> None:
        """Stop a job that has not ended.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html; the
        words: https://github.com/awslabs/benchmark-ai/issues/928
        """
        job = self.training_job(name)
        if job.ended:
            raise ValidationError(
                "The request was rejected because the training job is in status "
                f"{job.training_job_status}."
            )
        if job.training_job_status != "Stopping":
            job.enter("Stopping")
        self._stops[name].asked.set()

    @one_at_a_time
    def delete_training_job(self, name: str) -> None:
        """Delete a job that has ended; what it has put into S3 stays."""
        job = self.training_job(name)
        if not job.ended:
            raise ResourceInUseException(
                f"The training job {name} is in status {job.training_job_status}; stop it, and "
                "delete it when it has ended."
            )
        del self.training_jobs[name], self._stops[name], self._training_ended[name]

    def reset(self) -> None:
        for each in self._stops.values():
            each.now()
        super().reset()

    def _train(self, job: TrainingJobRecord, stop: Stop, ended: threading.Event) -> None:
        """Run a job to its end, and record how it has ended."""
        status, reason = "Failed", ""
        try:
            status = self._training(job, stop)
        except RehearsalEnds:
            status = "Stopped"
        except TrainingError as error:
            reason = str(error)
        except Exception as error:  # whatever it is, the job has failed and says why
            reason = f"InternalServerError: {one_line(error)}"
        with CHANGING:
            job.failure_reason = reason
            job.enter(status)
        ended.set()

    def _training(self, job: TrainingJobRecord, stop: Stop) -> str:
        name = job.training_job_name
        stream = f"{name}/{HOST}-{int(time.time())}"
        monitor = TrainingMonitor(self.account_id, self.region_name, name, stream)
        definitions = job.asked["AlgorithmSpecification"].get("MetricDefinitions") or []

        def log(line: str) -> None:
            monitor.log(line)
            for metric, value in metrics.values(line, definitions):
                monitor.measure(metric, value)
                with CHANGING:
                    job.measured(metric, value)

        def enter(secondary: str) -> None:
            with CHANGING:
                job.enter(secondary)

        cleanup = self.running.cleanup
        folder = cleanup.new_folder()
        try:
            return TrainingJob(
                asked=job.asked,
                arn=job.arn,
                region=self.region_name,
                model_url=job.model_url,
                folder=folder,
                s3=self.s3,
                engine=self.engine,
                log=log,
                enter=enter,
                stop=stop,
                closing=cleanup.closing,
            ).run()
        finally:
            artifacts.remove(folder)


def _between(when: datetime, after: datetime | None, before: datetime | None) -> bool:
    return (after is None or when >= after) and (before is None or when < before)
