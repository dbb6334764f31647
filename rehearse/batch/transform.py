"""CreateTransformJob in, objects of S3 read, sent to a container and written back out.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from rehearse.batch import inputs, splitting
from rehearse.batch.inputs import TransformError
from rehearse.batch.plan import Plan, advice
from rehearse.data_plane import artifacts
from rehearse.data_plane.limits import Limits
from rehearse.data_plane.starting import Starter
from rehearse.engines import Engine, Environment
from rehearse.model import Container, NotReady, Unavailable

# Of the platform, where the job says nothing.
SECONDS = 600
RETRIES = 3


class Stopped(Exception):
    """StopTransformJob came."""


@dataclass(frozen=True)
class Job:
    """One job: what was asked, and the means to do it."""

    asked: Mapping[str, Any]
    container: Container
    s3: Any
    engine: Engine
    log: Callable[[str], None]
    stopping: threading.Event
    # Stops the environment after the job, or when the rehearsal ends.
    closing: Callable[[Callable[[], None]], AbstractContextManager[None]]

    def run(self) -> None:
        """Do all objects of the input; raises TransformError or Stopped."""
        environment = self._start()
        # A call that is under way ends with its container.
        threading.Thread(target=self._end, args=(environment,), daemon=True).start()
        with self.closing(environment.stop):
            plan = Plan.of(self.asked, advice(environment))
            for bucket, key, output in inputs.objects(self.s3, self.asked["TransformInput"]):
                self._object(environment, plan, bucket, key, output)

    def _end(self, environment: Environment) -> None:
        self.stopping.wait()
        environment.stop()

    def _container(self) -> Container:
        """With the variables of a batch container; the last three only where the job sets them."""
        own = {"SAGEMAKER_BATCH": "true", **(self.asked.get("Environment") or {})}
        strategy = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}
        given = {
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": self.asked.get("MaxPayloadInMB"),
            "SAGEMAKER_BATCH_STRATEGY": strategy.get(self.asked.get("BatchStrategy") or ""),
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": self.asked.get("MaxConcurrentTransforms"),
        }
        own |= {name: str(value) for name, value in given.items() if value is not None}
        return replace(self.container, environment={**self.container.environment, **own})

    def _start(self) -> Environment:
        limits = Limits()
        starter = Starter(
            self.engine,
            self._container(),
            limits.instance_memory_mb,
            limits.instance_start_seconds,
            limits,
            self.log,
        )
        try:
            return starter.start(self.stopping).environment
        except Unavailable as error:
            raise Stopped from error
        except NotReady as error:
            raise TransformError("AlgorithmError", str(error)) from error

    def _object(
        self, environment: Environment, plan: Plan, bucket: str, key: str, output: str
    ) -> None:
        given = self.asked["TransformInput"]
        body = inputs.read(self.s3, bucket, key, given.get("CompressionType") == "Gzip")
        try:
            pieces = list(
                splitting.payloads(
                    body,
                    given.get("SplitType") or "None",
                    plan.strategy,
                    plan.payload_mb * splitting.MEGABYTE,
                )
            )
        except splitting.SplitError as error:
            raise TransformError("ClientError", f"{key}: {error}") from error
        with ThreadPoolExecutor(plan.concurrent) as pool:
            answers = list(pool.map(lambda piece: self._send(environment, key, piece), pieces))
        target = self.asked["TransformOutput"]
        to, prefix = artifacts.split(target["S3OutputPath"].rstrip("/") + "/")
        whole = splitting.assemble(answers, target.get("AssembleWith") or "None")
        self.s3.put_object(Bucket=to, Key=prefix + output, Body=whole)

    def _send(self, environment: Environment, key: str, piece: bytes) -> bytes:
        """One payload; what the container cannot do now is asked again."""
        given = {
            "Content-Type": self.asked["TransformInput"].get("ContentType"),
            "Accept": self.asked["TransformOutput"].get("Accept"),
        }
        headers = {name: value for name, value in given.items() if value}
        client = self.asked.get("ModelClientConfig") or {}
        seconds = client.get("InvocationsTimeoutInSeconds", SECONDS)
        status, body = 0, b"no answer"
        for _ in range(1 + client.get("InvocationsMaxRetries", RETRIES)):
            if self.stopping.is_set():
                raise Stopped
            try:
                status, _, body = environment.request(
                    "POST", "/invocations", piece, headers, seconds
                )
            except OSError as error:
                if self.stopping.is_set():
                    raise Stopped from error
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
