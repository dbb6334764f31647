"""Test what happens to requests when a server is stopped, killed or asked for too much."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.conftest import BLOG, BUNDLED, lines
from tests.contract import raw, targets

MODEL = {"MODEL_DIR": str(BUNDLED)}
PATIENT = {**MODEL, "DEADLINE_SECONDS": "600"}


def body(records: int, mark: str = "") -> bytes:
    """Make different texts, of which the default model scores some hundreds in a second."""
    texts = (f"number {place} {mark} did not fit me at all" for place in range(records))
    return b"".join(json.dumps({"features": [text]}).encode() + b"\n" for text in texts)


def ask(server: targets.OverHttp, records: int, mark: str = "") -> targets.Answer:
    return server.request("POST", "/invocations", body(records, mark))


def until(happened: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def threads(process: int) -> int:
    """Count the threads of the worker; each request under way has one."""
    (worker,) = children(process)
    return len(list(Path(f"/proc/{worker}/task").iterdir()))


def children(process: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{process}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def crowd(
    pool: ThreadPoolExecutor, server: targets.OverHttp, process: int, records: int
) -> list[Future[targets.Answer]]:
    """Send fifty requests, and wait until nearly all are under way: each then has a thread."""
    before = threads(process)
    asked = [pool.submit(ask, server, records, f"of {place}") for place in range(50)]
    until(lambda: threads(process) >= before + 40)
    return asked


def test_sigterm_lets_fifty_requests_be_answered() -> None:
    """All of them; on a machine that is too slow for that in 23 seconds, some by 503."""
    with targets.gunicorn(PATIENT) as (server, process), ThreadPoolExecutor(50) as pool:
        server.wait(process)
        asked = crowd(pool, server, process.pid, 80)
        assert not all(answer.done() for answer in asked)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        found = [answer.result() for answer in asked]
        assert {answer.status for answer in found} in ({200}, {200, 503})
        assert all(len(lines(a.body)) == (80 if a.status == 200 else 1) for a in found)
    with pytest.raises(requests.ConnectionError):
        server.request("GET", "/ping")


def test_a_second_sigterm_ends_it_at_once() -> None:
    with targets.gunicorn(PATIENT) as (server, process), ThreadPoolExecutor(50) as pool:
        server.wait(process)
        asked = crowd(pool, server, process.pid, 400)
        (worker,) = children(process.pid)
        process.send_signal(signal.SIGTERM)
        until(lambda: "State:\tZ" not in Path(f"/proc/{worker}/status").read_text())
        time.sleep(0.5)  # signals that come together count once
        asked_again = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 128 + signal.SIGTERM
        assert time.monotonic() - asked_again < 2
        for answer in asked:
            with pytest.raises(requests.ConnectionError):
                answer.result()
    until(lambda: not Path(f"/proc/{worker}").exists())


def test_clients_that_say_nothing_or_half_a_request_do_not_hold_up_a_stop() -> None:
    with targets.gunicorn(MODEL) as (server, process):
        server.wait(process)
        with raw.connect(server.port, 20) as clients:
            for client in clients[:10]:
                client.send(b"POST /invocations HTTP/1.1\r\nHost: me\r\n")
            server.request("GET", "/ping")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def test_a_worker_that_is_killed_is_replaced_and_leaves_nothing_behind() -> None:
    with targets.gunicorn(MODEL) as (server, process), ThreadPoolExecutor(8) as pool:
        server.wait(process)
        asked = [pool.submit(ask, server, 2000) for _ in range(8)]
        (worker,) = children(process.pid)
        until(lambda: threads(process.pid) > 8)
        os.kill(worker, signal.SIGKILL)
        for answer in asked:
            if answer.exception() is None:  # it had not been accepted yet
                assert len(lines(answer.result().body)) == 2000
            else:
                assert isinstance(answer.exception(), requests.ConnectionError)
        assert any(answer.exception() for answer in asked)
        until(lambda: children(process.pid) not in ([], [worker]))
        assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3
        assert not Path(f"/proc/{worker}").exists()
        (second,) = children(process.pid)
        process.kill()
        process.wait()
        until(lambda: not Path(f"/proc/{second}").exists())


def test_more_records_than_can_be_scored_in_time_are_refused_with_how_many_can() -> None:
    with targets.gunicorn({**MODEL, "DEADLINE_SECONDS": "4"}) as (server, process):
        server.wait(process)
        first = ask(server, 20_000)
        assert (first.status, json.loads(first.body)["code"]) == (413, "too_many_records")
        began = time.monotonic()
        second = ask(server, 20_000)
        assert second.status == 413
        assert time.monotonic() - began < 3  # the pace is known by now
        number = int(
            json.loads(second.body)["error"].split("about ")[1].split()[0].replace(",", "")
        )
        assert 50 < number < 20_000
        assert len(lines(ask(server, number // 3).body)) == number // 3


def test_a_crowd_that_cannot_be_served_in_time_is_told_so() -> None:
    """By 504, or once the pace is known by 503; each request alone would fit."""
    environment = {**MODEL, "DEADLINE_SECONDS": "1"}
    with targets.gunicorn(environment) as (server, process), ThreadPoolExecutor(100) as pool:
        server.wait(process)
        answers = [pool.submit(ask, server, 40, f"of {place}") for place in range(100)]
        found = {answer.result().status for answer in answers}
        assert found & {503, 504}
        assert found <= {200, 413, 503, 504}  # 413: not even forty fit, on a slow machine
        assert len(lines(server.request("POST", "/invocations", BLOG).body)) == 3


def test_one_request_too_many_is_503_and_pings_are_answered() -> None:
    environment = {**MODEL, "MAX_IN_FLIGHT": "4"}
    with targets.gunicorn(environment) as (server, process), ThreadPoolExecutor(12) as pool:
        server.wait(process)
        answers = [pool.submit(ask, server, 500, f"of {place}") for place in range(12)]
        while not all(answer.done() for answer in answers):
            began = time.monotonic()
            assert server.request("GET", "/ping").status == 200
            assert time.monotonic() - began < 2
        found = [answer.result() for answer in answers]
        assert [answer.status for answer in found].count(200) >= 4
        refused = [answer for answer in found if answer.status != 200]
        assert refused
        for answer in refused:
            assert (answer.status, json.loads(answer.body)["code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
