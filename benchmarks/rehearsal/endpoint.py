"""Deploy to a running `rehearse up`, and reach its container: by boto3, by HTTP, and past both."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from benchmarks.harness.client import Client
from benchmarks.rehearsal.recording_engine import BODY, CALL, MEMORY_MB
from platform_facts import sandbox
from rehearse.container_engines.docker_engine import RUN_LABEL

NAME = "measured"
PATH = f"/endpoints/{NAME}/invocations"
Ask = Callable[[], object]
ROLE = "arn:aws:iam::123456789012:role/measured"


@contextmanager
def endpoint(engine: str, image: str) -> Iterator[tuple[Ask, Ask, Ask]]:
    """Deploy, and give three ways to ask: by boto3, by HTTP, and past both."""
    import boto3

    command = [sys.executable, "-m", "rehearse", "up", "--port", "0", "--json", "--no-freeze"]
    command += ["--engine", engine]
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
        deploy(session.client("sagemaker", endpoint_url=ready["url"]), image)
        with (
            closing(Client(urlsplit(ready["url"]).port or 0, path=PATH)) as wire,
            closing(Client(_port(engine, process.pid))) as direct,
        ):
            runtime = session.client("sagemaker-runtime", endpoint_url=ready["url"])

            def invoke() -> object:
                answer = runtime.invoke_endpoint(
                    EndpointName=NAME, Body=BODY, ContentType=CALL.content_type
                )
                return answer["Body"].read()

            yield invoke, partial(wire.post, BODY), partial(direct.post, BODY)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def deploy(client: Any, image: str) -> None:
    """Create an endpoint of one container, with the model that it brings."""
    container = {"Image": image}
    client.create_model(ModelName=NAME, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    serverless = {"MemorySizeInMB": MEMORY_MB, "MaxConcurrency": 1}
    variant = {"VariantName": "All", "ModelName": NAME, "ServerlessConfig": serverless}
    client.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    client.get_waiter("endpoint_in_service").wait(EndpointName=NAME)


def _port(engine: str, rehearsal: int) -> int:
    """Return the port of the newest container: no other rehearsal is started meanwhile."""
    if engine == "docker":
        import docker

        with closing(docker.from_env()) as client:
            newest = client.containers.list(limit=1, filters={"label": RUN_LABEL})[0]
            (published, *_) = newest.ports[sandbox.TCP_PORT] or [{}]
            return int(published["HostPort"])
    import psutil

    (served,) = psutil.Process(rehearsal).children()
    (listening,) = [each for each in served.net_connections() if each.status == "LISTEN"]
    return int(listening.laddr.port)
