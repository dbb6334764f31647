"""Test client.py with an endpoint that throttles, and with one that is not ready."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from deploy.client import AGAIN, RECORDS, Endpoint, pauses, runtime
from tests.deploy.conftest import Account

PLACE = {"region_name": "us-east-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}


class Clock:
    """Time that passes only in `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def stub() -> Iterator[Stubber]:
    """Give a client that is told what to answer; botocore checks that the platform could."""
    with Stubber(runtime(**PLACE)) as found:
        yield found


def answer(*labels: int) -> dict[str, Any]:
    lines = [json.dumps({"probability": 0.9, "predicted_label": label}) for label in labels]
    body = "".join(line + "\n" for line in lines).encode()
    return {"Body": StreamingBody(io.BytesIO(body), len(body))}


@pytest.mark.parametrize("code", sorted(AGAIN))
def test_what_passes_is_waited_for(code: str, stub: Stubber) -> None:
    clock = Clock()
    for _ in range(3):
        stub.add_client_error("invoke_endpoint", code, http_status_code=429)
    stub.add_response("invoke_endpoint", answer(1))
    endpoint = Endpoint("e", stub.client, clock=clock, sleep=clock.sleep)
    assert [each["predicted_label"] for each in endpoint.predict(["fine"])] == [1]
    assert clock.now > 0


def test_a_text_is_what_stands_between_two_newlines(stub: Stubber) -> None:
    """Other line ends of Unicode are part of the text."""
    texts = ["one\u2028text", "another\x0cone"]
    stub.add_response("invoke_endpoint", answer(1, 0))
    found = Endpoint("e", stub.client).predict(texts)
    assert [each["predicted_label"] for each in found] == [1, 0]


def test_patience_ends(stub: Stubber) -> None:
    clock = Clock()
    for _ in range(50):
        stub.add_client_error("invoke_endpoint", "ModelNotReadyException", http_status_code=429)
    endpoint = Endpoint("e", stub.client, patience=30, clock=clock, sleep=clock.sleep)
    with pytest.raises(ClientError, match="ModelNotReadyException"):
        endpoint.invoke(Body=b"")
    assert 10 < clock.now <= 30


@pytest.mark.parametrize(
    ("status", "message", "attempts"),
    [(400, '{"code": "bad_request"}', 1), (503, '{"code": "overloaded"}', 2), (500, "", 1)],
)
def test_of_the_errors_of_a_model_only_overload_passes(
    status: int, message: str, attempts: int, stub: Stubber
) -> None:
    clock = Clock()
    for _ in range(attempts):
        stub.add_client_error(
            "invoke_endpoint",
            "ModelError",
            http_status_code=424,
            modeled_fields={"OriginalStatusCode": status, "OriginalMessage": message},
        )
    stub.add_client_error("invoke_endpoint", "ValidationError")
    endpoint = Endpoint("e", stub.client, clock=clock, sleep=clock.sleep)
    code = "ModelError" if attempts == 1 else "ValidationError"
    with pytest.raises(ClientError, match=code):
        endpoint.invoke(Body=b"")


def test_pauses_grow_and_are_bounded() -> None:
    found = [next(each) for each in [pauses()] for _ in range(40)]
    assert found[0] <= 0.2
    assert 5 <= max(found) <= 10


def test_boto3_itself_waits_long_and_asks_once() -> None:
    config = runtime(**PLACE).meta.config
    assert config.read_timeout == 250
    assert config.retries["total_max_attempts"] == 1


def test_many_callers_of_a_narrow_endpoint_are_all_answered(account: Account) -> None:
    """Of six concurrent callers five are throttled at first, where one is allowed."""
    rehearsal = account.rehearsal
    name = rehearsal.endpoint(
        rehearsal.config(rehearsal.model(), {"MemorySizeInMB": 1024, "MaxConcurrency": 1})
    )
    given = rehearsal.ready["environment"]
    client = runtime(
        endpoint_url=rehearsal.url,
        region_name=given["AWS_DEFAULT_REGION"],
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
    )
    throttled = []
    gate = threading.Barrier(6)

    def seen(parsed: dict[str, Any], **_: Any) -> None:
        throttled.append(parsed.get("Error", {}).get("Code") == "ThrottlingException")

    client.meta.events.register("after-call.sagemaker-runtime.InvokeEndpoint", seen)
    texts = [f"I love this product, number {n}!" for n in range(RECORDS + 20)]

    def call(_: int) -> list[dict[str, Any]]:
        gate.wait(30)
        return list(Endpoint(name, client).predict(texts))

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(call, range(6)))
    assert [len(each) for each in found] == [len(texts)] * 6
    assert any(throttled)
    account.run("delete.py", name, "--yes")
