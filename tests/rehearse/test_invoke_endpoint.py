"""InvokeEndpoint over HTTP: what reaches the container, and the form of each error."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
from botocore.exceptions import ClientError
from werkzeug.test import Client, TestResponse

from rehearse.data_plane.endpoints import Endpoints
from rehearse.data_plane.invoke_endpoint import InvokeEndpoint
from rehearse.data_types import (
    ContainerDefinition,
    Invocation,
    InvocationResponse,
    ProductionVariant,
    ServerlessConfig,
)
from rehearse.errors import ModelError, ModelNotReady, Oversize, ServiceUnavailable, Throttled
from tests.rehearse.rehearsal import LOVE, Rehearsal

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e"
SIGNED = "AWS4-HMAC-SHA256 Credential=KEY/20300101/eu-west-1/sagemaker/aws4_request, Signature=0"


class Scripted:
    """A variant that remembers invocations, and answers or raises what it is told."""

    container = ContainerDefinition("image", None, {})

    def __init__(self) -> None:
        self.calls: list[Invocation] = []
        self.outcome: InvocationResponse | Exception = InvocationResponse(
            b"\x00\xff", "application/x", "a=1", False, 3
        )

    def start(self) -> None: ...

    def close(self) -> None: ...

    def invoke(self, call: Invocation) -> InvocationResponse:
        self.calls.append(call)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def variant() -> Scripted:
    return Scripted()


@pytest.fixture
def wire(variant: Scripted) -> Iterator[Client]:
    endpoints = Endpoints(lambda *_: variant)  # type: ignore[arg-type]  # a part of it
    given = ProductionVariant("AllTraffic", variant.container, ServerlessConfig(1024, 1))
    up = threading.Event()
    endpoints.deploy(ARN, lambda: [given], lambda _: up.set())
    assert up.wait(10)
    yield Client(InvokeEndpoint(endpoints, "us-east-1"))
    endpoints.cleanup.close()


def post(wire: Client, body: bytes = b"x", path: str = "e", **headers: str) -> TestResponse:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return wire.post(
        f"/endpoints/{path}/invocations", data=body, headers={"Authorization": SIGNED, **given}
    )


def test_an_answer_is_passed_on_byte_by_byte(wire: Client) -> None:
    found = post(wire)
    assert (found.status_code, found.data) == (200, b"\x00\xff")
    assert found.headers["Content-Type"] == "application/x"
    assert found.headers["X-Amzn-SageMaker-Custom-Attributes"] == "a=1"
    assert found.headers["x-Amzn-Invoked-Production-Variant"] == "AllTraffic"
    assert found.headers["x-amzn-RequestId"]


def test_the_container_gets_the_headers_of_the_api_and_no_other(
    wire: Client, variant: Scripted
) -> None:
    post(
        wire,
        b"\xff\x00",
        Content_Type="text/csv",
        Accept="application/json",
        X_Amzn_SageMaker_Custom_Attributes="on-bad-record=report",
        X_Amzn_SageMaker_Inference_Id="id",
        X_Own="stripped",
    )
    assert variant.calls == [
        Invocation(b"\xff\x00", "text/csv", "application/json", "on-bad-record=report", "id")
    ]


def test_what_a_client_leaves_out_is_not_made_up(wire: Client, variant: Scripted) -> None:
    post(wire)
    assert variant.calls == [Invocation(b"x", None, None, None, None)]


def test_a_form_is_bytes_as_well(wire: Client, variant: Scripted) -> None:
    post(wire, b"a=1&b=%ff", Content_Type="application/x-www-form-urlencoded")
    assert variant.calls[0].body == b"a=1&b=%ff"


OVERSIZE = Oversize()
FAILURE = ModelError(400, "no json", 'Received client error (400) from primary with message "no"')


@pytest.mark.parametrize(
    ("error", "status", "kind", "members"),
    [
        (Throttled(1), 400, "ThrottlingException", {"message": None}),
        (ModelNotReady("soon"), 429, "ModelNotReadyException", {"Message": "soon"}),
        (OVERSIZE, 400, "ValidationError", {"Message": str(OVERSIZE)}),
        (ServiceUnavailable("ends"), 503, "ServiceUnavailable", {"Message": "ends"}),
        (
            FAILURE,
            424,
            "ModelError",
            {
                "ErrorCode": "CLIENT_ERROR_FROM_MODEL",
                "LogStreamArn": "arn:aws:logs:eu-west-1:123456789012:log-group:"
                "/aws/sagemaker/Endpoints/e",
                "Message": FAILURE.text,
                "OriginalMessage": "no json",
                "OriginalStatusCode": 400,
            },
        ),
        (ValueError("a bug"), 500, "InternalFailure", {"Message": "a bug"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_refusal_has_the_platform_s_form(
    wire: Client,
    variant: Scripted,
    error: Exception,
    status: int,
    kind: str,
    members: dict[str, Any],
) -> None:
    variant.outcome = error
    found = post(wire)
    assert (found.status_code, found.headers["x-amzn-errortype"]) == (status, kind)
    assert json.loads(found.data) == members


def test_a_timeout_is_a_failure_of_the_server_with_status_0(
    wire: Client, variant: Scripted
) -> None:
    variant.outcome = ModelError(0, "Your invocation timed out", "Received server error (0)")
    members = json.loads(post(wire).data)
    assert members["OriginalStatusCode"] == 0
    assert members["ErrorCode"] == "INTERNAL_FAILURE_FROM_MODEL"


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"X_Amzn_SageMaker_Custom_Attributes": "a" * 1025}, "customAttributes"),
        ({"X_Amzn_SageMaker_Inference_Id": "a" * 65}, "inferenceId"),
        ({"X_Amzn_SageMaker_Target_Model": "m"}, "Target-Model is not supported"),
        ({"X_Amzn_SageMaker_Target_Variant": "no"}, "Variant no not found for Request"),
    ],
)
def test_what_the_api_does_not_allow_never_reaches_a_container(
    wire: Client, variant: Scripted, headers: dict[str, str], says: str
) -> None:
    found = post(wire, b"x", "e", **headers)
    assert found.status_code == 400
    assert says in json.loads(found.data)["Message"]
    assert not variant.calls


def test_an_endpoint_belongs_to_its_region(wire: Client) -> None:
    found = post(wire, Authorization=SIGNED.replace("eu-west-1", "eu-west-2"))
    message = "Endpoint e of account 123456789012 not found."
    assert json.loads(found.data) == {"ErrorCode": "NO_SUCH_ENDPOINT", "Message": message}


def test_a_connection_takes_one_call_after_the_other(rehearsal: Rehearsal, endpoint: str) -> None:
    with closing(HTTPConnection(rehearsal.url.removeprefix("http://"))) as connection:
        for path, status in ((endpoint, 200), ("nowhere", 400), (endpoint, 200)):
            # Its own bytes and no more: what follows would be the next answer.
            connection.request("POST", f"/endpoints/{path}/invocations", LOVE)
            used = connection.sock
            with connection.getresponse() as answer:
                assert (answer.status, answer.will_close) == (status, False)
                answer.read()
            assert connection.sock is used


def test_streams_and_queues_are_refused_in_one_line(wire: Client) -> None:
    for path in ("async-invocations", "invocations-response-stream"):
        found = wire.post(f"/endpoints/e/{path}")
        assert (found.status_code, found.headers["x-amzn-errortype"]) == (400, "ValidationError")


@pytest.fixture(scope="module")
def endpoint(rehearsal: Rehearsal) -> str:
    return rehearsal.endpoint(
        rehearsal.config(rehearsal.model(), {"MemorySizeInMB": 1024, "MaxConcurrency": 1})
    )


def test_boto3_raises_a_true_model_error(rehearsal: Rehearsal, endpoint: str) -> None:
    client = rehearsal.client("sagemaker-runtime")
    with pytest.raises(client.exceptions.ModelError) as caught:
        rehearsal.invoke(endpoint, b'{"features": []}\n')
    found = caught.value.response
    assert found["OriginalStatusCode"] == 400
    assert json.loads(found["OriginalMessage"])["code"] == "bad_request"
    assert found["Message"].startswith('Received client error (400) from primary with message "')
    assert found["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{endpoint}")


def test_custom_attributes_go_there_and_back(rehearsal: Rehearsal, endpoint: str) -> None:
    found = rehearsal.invoke(endpoint, LOVE + b"no\n", CustomAttributes="on-bad-record=report")
    assert found["CustomAttributes"].startswith("on-bad-record=report,cold=")
    assert "error" in json.loads(found["Body"].read().split(b"\n")[1])


def test_a_body_over_4_mb_is_refused_as_oversize(rehearsal: Rehearsal, endpoint: str) -> None:
    with pytest.raises(ClientError, match=r"Request .* has oversize body\.") as caught:
        rehearsal.invoke(endpoint, b" " * (4 * 1024 * 1024 + 1))
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_a_second_call_at_the_same_time_is_throttled(rehearsal: Rehearsal, endpoint: str) -> None:
    """MaxConcurrency is 1; the code is in a header, the message is empty."""
    codes: list[str] = []
    # Seconds of work, so that all have come before the first is answered.
    body = b"".join(b'{"features": ["I love product %d!"]}\n' % number for number in range(1000))
    together = threading.Barrier(4)

    def invoke() -> None:
        together.wait()
        try:
            rehearsal.invoke(endpoint, body)["Body"].read()
            codes.append("answered")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    rehearsal.client("sagemaker-runtime")
    threads = [threading.Thread(target=invoke) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(codes) == ["ThrottlingException"] * 3 + ["answered"]
