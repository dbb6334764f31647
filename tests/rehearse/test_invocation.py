"""A container gets what the platform passes on; its errors are told in the platform's words."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from rehearse.data_types import Invocation
from rehearse.errors import ModelError, Oversize
from tests.rehearse.conftest import Make
from tests.rehearse.scripted_variant import NO_SWEEPS, told


def test_a_container_gets_what_the_api_passes_on_and_nothing_else(make: Make) -> None:
    body = b'{"do": "tell"}'
    reply = make().variant.invoke(Invocation(body, "text/csv", "application/json", "a,b=1", "id-7"))
    headers = {name.lower(): value for name, value in told(reply)["headers"].items()}
    assert headers.pop("host").startswith("127.0.0.1:")
    assert headers == {
        "content-length": str(len(body)),
        "content-type": "text/csv",
        "accept": "application/json",
        "x-amzn-sagemaker-custom-attributes": "a,b=1",
        "x-amzn-sagemaker-inference-id": "id-7",
    }


def test_headers_that_a_client_leaves_out_are_not_made_up(make: Make) -> None:
    reply = make().variant.invoke(Invocation(b'{"do": "tell"}'))
    assert {name.lower() for name in told(reply)["headers"]} == {"host", "content-length"}


def test_type_and_attributes_of_an_answer_come_back(make: Make) -> None:
    reply = make().ask(do="tell")
    assert reply.content_type == "application/x-told"
    assert reply.custom_attributes == "seen"


@pytest.mark.parametrize(
    ("status", "side"), [(400, "client"), (404, "client"), (500, "server"), (503, "server")]
)
def test_an_error_of_the_container_is_told_in_the_platforms_words(
    status: int, side: str, make: Make
) -> None:
    scripted = make()
    with pytest.raises(ModelError) as caught:
        scripted.ask(do="reply", status=status, text="not so")
    assert caught.value.original_status == status
    assert caught.value.original_message == "not so"
    assert caught.value.text == (
        f'Received {side} error ({status}) from primary with message "not so".'
    )
    assert not scripted.ask(do="tell").cold
    assert [seen.status for seen in scripted.seen] == [status, 200]


@pytest.mark.parametrize(("length", "loaded"), [(2048, True), (2049, False)])
def test_a_long_message_is_cut_and_not_in_the_text(length: int, loaded: bool, make: Make) -> None:
    with pytest.raises(ModelError) as caught:
        make().ask(do="reply", status=400, text="x", repeat=length)
    assert caught.value.original_message == "x" * 2048
    assert ("could not load the entire response body" not in caught.value.text) is loaded
    assert ("xxx" in caught.value.text) is loaded


def test_an_error_that_is_no_text_is_told_without_it(make: Make) -> None:
    with pytest.raises(ModelError) as caught:
        make().ask(do="reply", status=500, text="ü", encoding="latin-1")
    assert caught.value.original_message == ""
    assert caught.value.text == (
        "Received server error (500) from primary and could not load the entire response body."
    )


def test_a_request_over_4_mb_reaches_no_container(make: Make) -> None:
    scripted = make()
    rest = 4 * 1024 * 1024 - len(json.dumps({"do": "reply", "status": 200, "text": ""}))
    assert scripted.ask(do="reply", status=200, text="y" * rest).body.startswith(b"y")
    with pytest.raises(Oversize, match=r"^Request [0-9a-f-]{36} has oversize body\.$"):
        scripted.ask(do="reply", status=200, text="y" * (rest + 1))
    assert len(scripted.seen) == 1


def test_an_answer_over_4_mb_does_not_come_through(make: Make) -> None:
    scripted = make()
    assert len(scripted.ask(do="reply", status=200, text="z", repeat=4 * 1024 * 1024).body) == 2**22
    with pytest.raises(Oversize):
        scripted.ask(do="reply", status=200, text="z", repeat=4 * 1024 * 1024 + 1)


def test_silence_in_the_middle_of_an_answer_is_a_time_out(make: Make) -> None:
    scripted = make(quotas=replace(NO_SWEEPS, call_seconds=1.0))
    begun = time.monotonic()
    with pytest.raises(ModelError, match="timed out"):
        scripted.ask(do="fall_silent", seconds=0.7)
    assert time.monotonic() - begun < 1.6


def test_a_call_is_billed_for_the_time_in_the_container(make: Make) -> None:
    scripted = make()
    reply = scripted.ask(do="tell")
    (seen,) = scripted.seen
    assert reply.billed_ms == seen.billed_ms >= 1
    assert (reply.billed_ms - 1) * 1000 <= seen.model_us <= reply.billed_ms * 1000
    assert seen.overhead_us < 1_000_000
    assert not seen.cold
    assert seen.setup_ms == 0
    assert seen.bytes_in == len(b'{"do": "tell"}')
    assert seen.bytes_out == len(reply.body)
    assert seen.memory_percent is not None
    assert 0 < seen.memory_percent < 100


@pytest.mark.parametrize("billed", [False, True])
def test_a_cold_start_is_in_the_overhead_and_billed_only_if_so_set(
    billed: bool, make: Make
) -> None:
    scripted = make(start=False, quotas=replace(NO_SWEEPS, setup_is_billed=billed))
    reply = scripted.ask(do="tell")
    (seen,) = scripted.seen
    assert seen.cold
    assert seen.overhead_us >= seen.setup_ms * 1000 > 0
    assert (reply.billed_ms >= seen.setup_ms) is billed
