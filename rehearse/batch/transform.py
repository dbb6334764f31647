"""CreateTransformJob in, objects of S3 read, sent to a container and written back out.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from rehearse.batch import splitting
from rehearse.batch.plan import Plan, advice
from rehearse.control_plane import artifacts
from rehearse.data_plane.limits import Limits
from rehearse.data_plane.model import Container, NotReady, Unavailable
from rehearse.data_plane.starting import Starter
from rehearse.engines import Engine, Environment

# Of the platform, where the job says nothing.
SECONDS = 600
RETRIES = 3
# https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-errors.html: "Bad HTTP status
# returned from endpoint" is in the data log; the reason of a job is no more than this.
REASON = "{kind}: See job logs for more information"


class TransformError(Exception):
    """A job has failed; the message is its FailureReason, `detail` goes to its data log."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(REASON.format(kind=kind))
        self.detail = detail


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
        with self.closing(environment.stop):
            plan = Plan.of(self.asked, advice(environment))
            for bucket, key, output in self._objects():
                self._object(environment, plan, bucket, key, output)

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

    def _objects(self) -> list[tuple[str, str, str]]:
        """Bucket and key of every object, and where its answers go below S3OutputPath."""
        source = self.asked["TransformInput"]["DataSource"]["S3DataSource"]
        bucket, key = artifacts.split(source["S3Uri"])
        if source["S3DataType"] == "ManifestFile":
            manifest = json.loads(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            bucket, key = artifacts.split(manifest[0]["prefix"])
            keys = [key + name for name in manifest[1:]]
        else:
            keys = artifacts.keys(self.s3, bucket, key)
        if not keys:
            raise TransformError("ClientError", f"no object begins with {source['S3Uri']}")
        # Outputs keep the folders below the prefix.
        folder = key if key.endswith("/") else str(PurePosixPath(key).parent).rstrip("./") + "/"
        folder = folder.lstrip("/")
        wanted = [each for each in keys if not each.endswith("/")]
        return [(bucket, each, each.removeprefix(folder) + ".out") for each in wanted]

    def _object(
        self, environment: Environment, plan: Plan, bucket: str, key: str, output: str
    ) -> None:
        given = self.asked["TransformInput"]
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        if given.get("CompressionType") == "Gzip":
            body = gzip.decompress(body)
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
