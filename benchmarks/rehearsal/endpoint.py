"""Deploy to a running `rehearse up`, and reach its container: by boto3, by HTTP, and past both."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from benchmarks.harness.client import Client
from benchmarks.rehearsal.recording_engine import BODY, CALL
from rehearse.container_engines.docker_engine import RUN_LABEL, TCP_PORT

NAME = "measured"
PATH = f"/endpoints/{NAME}/invocations"
ROLE = "arn:aws:iam::123456789012:role/measured"


@contextmanager
def endpoint(engine: str, image: str, memory_mb: int) -> Iterator[tuple[Any, Client, Client]]:
    """Give clients of an endpoint: with boto3, by HTTP alone, and of the container that answers."""
    import boto3

    command = [sys.executable, "-m", "rehearse", "up", "--port", "0", "--json", "--engine", engine]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        ready = json.loads(process.stdout.readline())
        given = ready["environment"]
        session = boto3.Session(
            given["AWS_ACCESS_KEY_ID"],
            given["AWS_SECRET_ACCESS_KEY"],
            region_name=given["AWS_DEFAULT_REGION"],
        )
        deploy(session.client("sagemaker", endpoint_url=ready["url"]), image, memory_mb)
        with (
            closing(Client(urlsplit(ready["url"]).port or 0, path=PATH)) as wire,
            closing(Client(_port(engine, process.pid))) as direct,
        ):
            yield session.client("sagemaker-runtime", endpoint_url=ready["url"]), wire, direct
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def deploy(client: Any, image: str, memory_mb: int) -> None:
    """Create an endpoint of one container, with the model that it brings."""
    container = {"Image": image}
    client.create_model(ModelName=NAME, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    serverless = {"MemorySizeInMB": memory_mb, "MaxConcurrency": 1}
    variant = {"VariantName": "All", "ModelName": NAME, "ServerlessConfig": serverless}
    client.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    client.get_waiter("endpoint_in_service").wait(EndpointName=NAME)


def invoke(client: Any) -> bytes:
    """Call InvokeEndpoint, and return the body."""
    answer = client.invoke_endpoint(EndpointName=NAME, Body=BODY, ContentType=CALL.content_type)
    found: bytes = answer["Body"].read()
    return found


def _port(engine: str, rehearsal: int) -> int:
    """Return the port of the newest container: no other rehearsal is started meanwhile."""
    if engine == "docker":
        import docker

        with closing(docker.from_env()) as client:
            newest = client.containers.list(limit=1, filters={"label": RUN_LABEL})[0]
            (published, *_) = newest.ports[TCP_PORT] or [{}]
            return int(published["HostPort"])
    import psutil

    (served,) = psutil.Process(rehearsal).children()
    (listening,) = [each for each in served.net_connections() if each.status == "LISTEN"]
    return int(listening.laddr.port)
