"""Start a rehearsal as users do, and make models and endpoints in it with boto3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.rehearse.waiting import eventually

ROLE = "arn:aws:iam::123456789012:role/rehearsal"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sentiment:1"
LOVE = b'{"features": ["I love this product!"]}\n'
SERVERLESS = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}


@dataclass
class Rehearsal:
    """A running `rehearse up`, and clients of it."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    _clients: dict[str, Any] = field(default_factory=dict)
    _counter: int = 0

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def client(self, service: str) -> Any:
        """Return a boto3 client that knows no more than what the rehearsal prints."""
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            given = self.ready["environment"]
            session = boto3.Session(
                given["AWS_ACCESS_KEY_ID"],
                given["AWS_SECRET_ACCESS_KEY"],
                region_name=given["AWS_DEFAULT_REGION"],
            )
            # One attempt: what is throttled is to be seen.
            config = Config(retries={"total_max_attempts": 1}, read_timeout=250)
            self._clients[service] = session.client(
                service, endpoint_url=given["AWS_ENDPOINT_URL"], config=config
            )
        return self._clients[service]

    def name(self, kind: str) -> str:
        """Return a name that is not taken yet."""
        self._counter += 1
        return f"{kind}-{self._counter}"

    def model(self, **container: Any) -> str:
        """Create a model; it is the bundled one if nothing is said of its data."""
        name = self.name("model")
        self.client("sagemaker").create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE, **container}
        )
        return name

    def config(self, model: str, serverless: dict[str, int] | None = None, **variant: Any) -> str:
        """Create a configuration of one variant, serverless unless an InstanceType is given."""
        name = self.name("config")
        if "InstanceType" not in variant:
            variant["ServerlessConfig"] = serverless or SERVERLESS
        self.client("sagemaker").create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[{"VariantName": "AllTraffic", "ModelName": model, **variant}],
        )
        return name

    def endpoint(self, config: str) -> str:
        """Create an endpoint, and wait until it is in service."""
        name = self.name("endpoint")
        client = self.client("sagemaker")
        client.create_endpoint(EndpointName=name, EndpointConfigName=config)
        client.get_waiter("endpoint_in_service").wait(EndpointName=name)
        return name

    def status(self, endpoint: str) -> str:
        """Return the status of an endpoint when nothing is under way."""
        describe = partial(self.client("sagemaker").describe_endpoint, EndpointName=endpoint)
        eventually(lambda: not describe()["EndpointStatus"].endswith("ing"), 60)
        return str(describe()["EndpointStatus"])

    def invoke(self, endpoint: str, body: bytes = LOVE, **given: Any) -> Any:
        """Call InvokeEndpoint."""
        return self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, Body=body, **{"ContentType": "application/jsonlines", **given}
        )

    def put(self, key: str, body: bytes, bucket: str = "models") -> str:
        """Put an object into S3, and return its address."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"


@contextmanager
def rehearsing(*arguments: str, stderr: int | None = None) -> Iterator[Rehearsal]:
    """Run a rehearsal on a free port, and end it with SIGTERM."""
    command = [sys.executable, "-m", "rehearse", "up", "--port", "0", "--json", *arguments]
    if "--engine" not in arguments:
        command += ["--engine", "process"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ}
    )
    try:
        assert process.stdout
        yield Rehearsal(process, json.loads(process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        for output in filter(None, (process.stdout, process.stderr)):
            output.close()


def archive(directory: Path) -> bytes:
    """Return a model.tar.gz with the files of a directory at its root."""
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        tar.add(directory, arcname=".")
    return out.getvalue()
