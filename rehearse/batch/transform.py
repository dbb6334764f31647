"""Run one transform job: start its container, send it every payload, write the answers to S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from platform_facts import BATCH_CALL_SECONDS, MEGABYTE
from rehearse.batch import payloads
from rehearse.container_engines import ContainerEngine, RunningContainer
from rehearse.data_plane import artifacts
from rehearse.data_plane.environments import EnvironmentStarter
from rehearse.data_plane.quotas import Quotas
from rehearse.data_types import ContainerDefinition
from rehearse.errors import ModelNotReady, ServiceUnavailable, TransformError, TransformStopped

# Of the platform, where neither the job nor the container says anything.
PAYLOAD_MB = 6
CONCURRENT_TRANSFORMS = 1
RETRIES = 3
EXECUTION_PARAMETERS_SECONDS = 2.0


@dataclass(frozen=True)
class ExecutionParameters:
    """How payloads are made and sent: as the job says, else the container, else the platform."""

    strategy: str
    payload_mb: int
    concurrent: int

    @classmethod
    def of(cls, job: Mapping[str, Any], container: Mapping[str, Any]) -> ExecutionParameters:
        """Decide each; `container` is what GET /execution-parameters has answered."""
        strategy = str(job.get("BatchStrategy") or container.get("BatchStrategy") or "MultiRecord")
        return cls(
            # MultiRecord in the API, MULTI_RECORD in the container's answer.
            strategy="SingleRecord" if strategy.lower().startswith("single") else "MultiRecord",
            payload_mb=_first(0, PAYLOAD_MB, job, container, "MaxPayloadInMB"),
            concurrent=_first(1, CONCURRENT_TRANSFORMS, job, container, "MaxConcurrentTransforms"),
        )


def _first(
    least: int, default: int, job: Mapping[str, Any], container: Mapping[str, Any], name: str
) -> int:
    """Return the first value that is sound; the API has checked the job's."""
    for found in (job.get(name), container.get(name)):
        if isinstance(found, int) and found >= least:
            return found
    return default


def execution_parameters(container: RunningContainer) -> dict[str, Any]:
    """Ask for GET /execution-parameters, which a container need not have."""
    path, seconds = "/execution-parameters", EXECUTION_PARAMETERS_SECONDS
    try:
        status, _, body = container.request("GET", path, b"", {}, seconds)
        found = json.loads(body) if status == 200 else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class TransformJob:
    """One job: what was asked, and the means to do it."""

    asked: Mapping[str, Any]
    definition: ContainerDefinition
    s3: Any
    engine: ContainerEngine
    log: Callable[[str], None]
    stopping: threading.Event
    # Stops the container after the job, or when the rehearsal ends.
    closing: Callable[[Callable[[], None]], AbstractContextManager[None]]

    def run(self) -> None:
        """Transform all objects of the input; raise TransformError or TransformStopped."""
        container = self._start()
        # A request that is under way ends with its container.
        threading.Thread(target=self._stop_with_job, args=(container,), daemon=True).start()
        with self.closing(container.stop):
            parameters = ExecutionParameters.of(self.asked, execution_parameters(container))
            given = self.asked["TransformInput"]
            for bucket, key, output in payloads.input_objects(self.s3, given):
                self._transform(container, parameters, bucket, key, output)

    def _stop_with_job(self, container: RunningContainer) -> None:
        self.stopping.wait()
        container.stop()

    def _environment(self) -> dict[str, str]:
        """Return the variables of a batch container; the last three only where the job says so."""
        own = {"SAGEMAKER_BATCH": "true", **(self.asked.get("Environment") or {})}
        strategy = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}
        given = {
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": self.asked.get("MaxPayloadInMB"),
            "SAGEMAKER_BATCH_STRATEGY": strategy.get(self.asked.get("BatchStrategy") or ""),
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": self.asked.get("MaxConcurrentTransforms"),
        }
        own |= {name: str(value) for name, value in given.items() if value is not None}
        return {**self.definition.environment, **own}

    def _start(self) -> RunningContainer:
        quotas = Quotas()
        starter = EnvironmentStarter(
            self.engine,
            replace(self.definition, environment=self._environment()),
            quotas.instance_memory_mb,
            quotas.instance_start_seconds,
            quotas,
            self.log,
        )
        try:
            return starter.start(self.stopping).container
        except ServiceUnavailable as error:
            raise TransformStopped from error
        except ModelNotReady as error:
            raise TransformError("AlgorithmError", str(error)) from error

    def _transform(
        self,
        container: RunningContainer,
        parameters: ExecutionParameters,
        bucket: str,
        key: str,
        output: str,
    ) -> None:
        """Transform one object."""
        given, target = self.asked["TransformInput"], self.asked["TransformOutput"]
        compressed = given.get("CompressionType") == "Gzip"
        body = payloads.read_object(self.s3, bucket, key, compressed)
        largest = parameters.payload_mb * MEGABYTE
        split_type = given.get("SplitType") or "None"
        # All of them before the first is sent: a record that is too large fails the job at once.
        cut = list(payloads.payloads(body, split_type, parameters.strategy, largest, key))
        with ThreadPoolExecutor(parameters.concurrent) as pool:
            answers = list(pool.map(lambda payload: self._send(container, key, payload), cut))
        to, prefix = artifacts.split(target["S3OutputPath"].rstrip("/") + "/")
        whole = payloads.assemble(answers, target.get("AssembleWith") or "None")
        self.s3.put_object(Bucket=to, Key=prefix + output, Body=whole)

    def _send(self, container: RunningContainer, key: str, payload: bytes) -> bytes:
        """Return the answer to one payload; what the container cannot do now is asked again."""
        given = {
            "Content-Type": self.asked["TransformInput"].get("ContentType"),
            "Accept": self.asked["TransformOutput"].get("Accept"),
        }
        headers = {name: value for name, value in given.items() if value}
        client = self.asked.get("ModelClientConfig") or {}
        seconds = client.get("InvocationsTimeoutInSeconds", BATCH_CALL_SECONDS)
        status, body = 0, b"no answer"
        for _ in range(1 + client.get("InvocationsMaxRetries", RETRIES)):
            if self.stopping.is_set():
                raise TransformStopped
            try:
                status, _, body = container.request(
                    "POST", "/invocations", payload, headers, seconds
                )
            except OSError as error:
                if self.stopping.is_set():
                    raise TransformStopped from error
                status, body = 0, str(error).encode()
            if status == 200:
                return body
            if 400 <= status < 500:
                break
        text = " ".join(body[:1000].decode(errors="replace").split())
        kind = "ClientError" if 400 <= status < 500 else "AlgorithmError"
        raise TransformError(
            kind, f"{key}: Bad HTTP status received from algorithm: {status}: {text}"
        )
