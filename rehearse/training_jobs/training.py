"""Run one training job: fetch its input, run its container to the end, upload what it has made.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

from __future__ import annotations

import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platform_facts import TRAINING_STOP_SECONDS
from rehearse.container_engines import ContainerEngine, RunningTraining
from rehearse.data_types import TrainingContainer
from rehearse.errors import (
    ArtifactError,
    ContainerEngineError,
    TrainingError,
    TrainingStopped,
    one_line,
)
from rehearse.training_jobs.folders import JobFolder

POLL_SECONDS = 0.1
REASON_CHARACTERS = 1024


@dataclass
class Stop:
    """Whether a job is to end: as StopTrainingJob ends it, or at once."""

    asked: threading.Event = field(default_factory=threading.Event)
    at_once: bool = False

    def now(self) -> None:
        """End the job at once; what it has made is lost."""
        self.at_once = True
        self.asked.set()


@dataclass(frozen=True)
class TrainingJob:
    """One job: what was asked (as in CreateTrainingJob), and the means to do it."""

    asked: Mapping[str, Any]
    arn: str
    region: str
    model_url: str
    folder: Path  # empty
    s3: Any
    engine: ContainerEngine
    log: Callable[[str], None]
    enter: Callable[[str], None]  # told each secondary status
    stop: Stop
    # Stops the container after the job, or when the rehearsal ends.
    closing: Callable[[Callable[[], None]], AbstractContextManager[None]]

    def run(self) -> str:
        """Run the job, and return the secondary status it ends with; raise TrainingError."""
        begun = time.monotonic()
        self.enter("Downloading")
        files = JobFolder(self.asked, self.folder, self.s3, self._proceed)
        try:
            files.fill()
            self.enter("Training")
            running = self.engine.train(self._container(), self.log)
        except TrainingStopped:
            return "Stopped"
        except ArtifactError as error:
            raise TrainingError(f"ClientError: Data download failed: {error}") from error
        except ContainerEngineError as error:
            # Seen at https://github.com/aws/sagemaker-python-sdk/issues/1968
            raise TrainingError(
                "ClientError: Cannot pull algorithm container. Either the image does not exist or "
                f"its permissions are incorrect. ({error})"
            ) from error
        with self.closing(running.stop):
            deadline = begun + self.asked["StoppingCondition"]["MaxRuntimeInSeconds"]
            code, ended_as = self._watch(running, deadline)
            if self.stop.at_once:
                return "Stopped"
            try:
                running.collect()
            except (ContainerEngineError, OSError, tarfile.TarError) as error:
                raise TrainingError(f"ClientError: no output: {one_line(error)}") from error
        self.enter("Uploading")
        files.upload(self.model_url)
        if ended_as == "Completed" and code:
            raise TrainingError(_reason(files.failure(), code))
        return ended_as

    def _watch(self, running: RunningTraining, deadline: float) -> tuple[int, str]:
        """Wait for the end, or bring it about; return the exit code and how the job has ended."""
        while (code := running.wait(POLL_SECONDS)) is None:
            if self.stop.asked.is_set():
                return self._end(running), "Stopped"
            if time.monotonic() >= deadline:
                return self._end(running), "MaxRuntimeExceeded"
        return code, "Completed"

    def _end(self, running: RunningTraining) -> int:
        """Send SIGTERM, and SIGKILL when its time is over; return the exit code."""
        running.terminate()
        last = time.monotonic() + TRAINING_STOP_SECONDS
        while (code := running.wait(POLL_SECONDS)) is None:
            if self.stop.at_once or time.monotonic() >= last:
                running.kill()
        return code

    def _proceed(self) -> None:
        if self.stop.asked.is_set():
            raise TrainingStopped

    def _container(self) -> TrainingContainer:
        """Return what runs: the image with `train`, unless the job says otherwise."""
        algorithm = self.asked["AlgorithmSpecification"]
        entrypoint = tuple(algorithm.get("ContainerEntrypoint") or ())
        arguments = tuple(algorithm.get("ContainerArguments") or ())
        own = {
            "TRAINING_JOB_NAME": self.asked["TrainingJobName"],
            "TRAINING_JOB_ARN": self.arn,
            "AWS_REGION": self.region,
        }
        return TrainingContainer(
            image=algorithm["TrainingImage"],
            folder=self.folder,
            environment={**(self.asked.get("Environment") or {}), **own},
            entrypoint=entrypoint,
            arguments=arguments or (() if entrypoint else ("train",)),
            isolated=bool(self.asked.get("EnableNetworkIsolation")),
        )


def _reason(failure: str, code: int) -> str:
    """Return the FailureReason of a container that has ended with this exit code.

    Seen, without a text, at
    https://github.com/aws-samples/amazon-sagemaker-ml-pipeline-deploy-with-terraform/issues/12
    """
    ending = f", exit code: {code}"
    return f"AlgorithmError: {failure}"[: REASON_CHARACTERS - len(ending)] + ending
