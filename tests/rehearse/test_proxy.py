"""Every address of AWS ends in the rehearsal, and no other is passed on."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError
from urllib3.exceptions import ProxyError

from rehearse.proxy import host_of_aws
from tests.rehearse.rehearsal import LOVE, Rehearsal, rehearsing


def port(rehearsal: Rehearsal) -> str:
    return rehearsal.url.rpartition(":")[2]


def start(
    rehearsal: Rehearsal, *command: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with `rehearse run`."""
    return subprocess.run(
        [sys.executable, "-m", "rehearse", "run", "--port", port(rehearsal), "--", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )


@pytest.fixture
def direct(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """Give a session that knows all that `rehearse up` exports but AWS_ENDPOINT_URL."""
    for name, value in rehearsal.ready["environment"].items():
        if name != "AWS_ENDPOINT_URL":
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("https_proxy", raising=False)
    return boto3.Session()


def test_clients_that_call_aws_reach_the_rehearsal(
    direct: boto3.Session, rehearsal: Rehearsal
) -> None:
    sts = direct.client("sts", endpoint_url="https://sts.us-east-1.amazonaws.com")
    assert sts.get_caller_identity()["Account"] == "123456789012"
    s3 = direct.client("s3")
    # One of them is in the name of the host, the other in the path.
    for bucket in ("in-the-host", "in.the.path"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="a/b c", Body=b"x" * 100_000)
        found = rehearsal.client("s3").get_object(Bucket=bucket, Key="a/b c")
        assert found["Body"].read() == b"x" * 100_000
        assert s3.get_object(Bucket=bucket, Key="a/b c")["Body"].read() == b"x" * 100_000
    with pytest.raises(ClientError, match="Could not find endpoint"):
        direct.client("sagemaker").describe_endpoint(EndpointName="nobody")


def test_endpoints_are_invoked_at_the_address_of_aws(
    direct: boto3.Session, rehearsal: Rehearsal
) -> None:
    endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model()))
    runtime = direct.client("sagemaker-runtime")
    for _ in range(3):  # the connection is kept
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, Body=LOVE, ContentType="application/jsonlines"
        )
        assert json.loads(answer["Body"].read())["predicted_label"] == 1


@pytest.mark.parametrize(
    "host", ["example.com", "amazonaws.com.example.com", "notamazonaws.com", "127.0.0.1"]
)
def test_nothing_else_is_passed_on(rehearsal: Rehearsal, host: str) -> None:
    with urllib3.ProxyManager(rehearsal.url) as proxy, pytest.raises(ProxyError) as caught:
        proxy.request("GET", f"https://{host}/", retries=False)
    assert "403 This is a rehearsal" in str(caught.value.original_error)


def test_hosts_of_aws_are_known() -> None:
    for host in (
        "sts.amazonaws.com",
        "b.s3.cn-north-1.amazonaws.com.cn",
        "lambda.us-east-1.api.aws",
    ):
        assert host_of_aws(f"{host}:443") == host
    assert host_of_aws("sts.amazonaws.com:22") is None
    assert host_of_aws("amazonaws.com") is None


def test_a_client_that_trusts_nobody_disturbs_nobody(rehearsal: Rehearsal) -> None:
    with socket.create_connection(("127.0.0.1", int(port(rehearsal)))) as connection:
        connection.sendall(b"CONNECT sts.amazonaws.com:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(
                connection, server_hostname="sts.amazonaws.com"
            )
    assert rehearsal.client("sts").get_caller_identity()["Account"]


def test_a_command_sees_the_rehearsal_and_nothing_of_the_user_s_aws(rehearsal: Rehearsal) -> None:
    code = (
        "import boto3; s = boto3.client('sts', endpoint_url='https://sts.us-east-1.amazonaws.com');"
        "print(s.get_caller_identity()['Arn']); print(boto3.client('s3').list_buckets()['Buckets'])"
    )
    users = {
        "AWS_PROFILE": "nobody",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    found = start(rehearsal, sys.executable, "-c", code, environment=users)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("arn:aws:sts::123456789012:assumed-role/")
    assert start(rehearsal, sys.executable, "-c", "raise SystemExit(7)").returncode == 7


def test_a_command_that_cannot_be_run_is_one_line(rehearsal: Rehearsal) -> None:
    for command, says in ((["no-such-command"], "no-such-command cannot be run"), ([], "name a")):
        found = start(rehearsal, *command)
        assert (found.returncode, found.stdout) == (2, "")
        assert found.stderr.startswith(f"rehearse: {says}")
        assert len(found.stderr.splitlines()) == 1


def test_clients_act_in_a_role_that_is_there(rehearsal: Rehearsal) -> None:
    arn = rehearsal.client("sts").get_caller_identity()["Arn"]
    _, role, _ = arn.split(":")[-1].split("/")
    found = rehearsal.client("iam").get_role(RoleName=role)["Role"]
    assert found["Arn"] == f"arn:aws:iam::123456789012:role/service-role/{role}"


def test_a_reset_forgets_all_but_who_the_client_is() -> None:
    """As test suites that are written for moto's server do between their tests."""
    with rehearsing() as rehearsal:
        identity = rehearsal.client("sts").get_caller_identity()["Arn"]
        for _ in range(2):
            name = "endpoint"
            config = rehearsal.config(rehearsal.model())
            client: Any = rehearsal.client("sagemaker")
            client.create_endpoint(EndpointName=name, EndpointConfigName=config)
            client.get_waiter("endpoint_in_service").wait(EndpointName=name)
            assert rehearsal.invoke(name)["Body"].read()
            rehearsal.put("key", b"value")
            answer = urllib3.request("POST", f"{rehearsal.url}/moto-api/reset")
            assert (answer.status, answer.json()) == (200, {"status": "ok"})
            assert client.list_models()["Models"] == []
            assert client.list_endpoints()["Endpoints"] == []
            assert rehearsal.client("s3").list_buckets()["Buckets"] == []
            with pytest.raises(ClientError, match="not found"):
                rehearsal.invoke(name)
            assert rehearsal.client("sts").get_caller_identity()["Arn"] == identity
