"""Soak a real server for a short time, and check that a soak sees what it looks for."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from benchmarks.harness import results, servers, statistics, texts
from benchmarks.harness.client import body
from benchmarks.soak import command, known_answers, phases
from benchmarks.soak.known_answers import INFERENCE_ID, Known, Question, Questions, fault
from benchmarks.soak.traffic import Traffic, back_to_back, clock, evenly
from tests.conftest import BUNDLED

POOL = {"a": Known(1, 0.9), "b": Known(0, 0.9), "c": Known(1, 0.5)}
ASKED = Question("soak-7", body(*POOL), [*POOL.values()])
HEADERS = {INFERENCE_ID: "soak-7"}


def answer(*known: Known) -> bytes:
    lines = ({"probability": one.probability, "predicted_label": one.label} for one in known)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_a_short_soak_loses_nothing_and_writes_page_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_answers, "CANDIDATES", 60)
    monkeypatch.setattr(phases, "STOP_WORK_SECONDS", 2.0)
    arguments = ["--minutes", "0.07", "--connections", "1", "4", "--out", str(tmp_path)]
    command.main(arguments)
    found = results.read(tmp_path / "soak.json")
    for who in ("warm-up", "1", "4", "saturation", "all"):
        (asked,), (right,) = found.of("asked", who), found.of("right", who)
        assert asked == right > 0
    for what in ("lost", "wrong", "errors", "without 200"):
        assert found.of(what, "all") == [0]
    assert found.of("p50", "4") <= found.of("p99", "4") <= found.of("max", "4")
    assert len(found.of("requests", "all")) == len(found.of("rss", "all")) >= 2
    assert found.of("answered in full", "SIGTERM") == [phases.STOP_REQUESTS]
    assert found.of("exit code", "SIGTERM") == [0]
    page = (tmp_path / "SOAK.md").read_text()
    assert str(tmp_path) not in page
    assert "| requests lost | 0 | 0 | yes |" in page
    assert "not measured" not in page
    assert re.search(
        r"Other work on the machine \(.*\) meanwhile: \d+% of the CPU time, and \d+%", page
    )
    picture = (tmp_path / "soak.svg").read_text()
    for words in ("percentile", "RSS, MB", "connections", "in 10,000 requests"):
        assert words in picture
    command.main(["--redraw", "--out", str(tmp_path)])
    assert (tmp_path / "SOAK.md").read_text() == page
    assert (tmp_path / "soak.svg").read_text() == picture


def test_the_right_answer_has_each_line_once_and_in_its_place() -> None:
    assert fault(ASKED, HEADERS, answer(*POOL.values())) is None


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("bac", "not the answer to its text"),
        ("cba", "not the answer to its text"),
        ("aba", "not the answer to its text"),
        ("ab", "2 lines for 3 records"),
        ("abcc", "4 lines for 3 records"),
        ("", "0 lines for 3 records"),
    ],
)
def test_lines_in_another_order_missing_or_twice_are_wrong(order: str, why: str) -> None:
    assert why in str(fault(ASKED, HEADERS, answer(*(POOL[text] for text in order))))


def test_the_answer_to_another_request_is_wrong() -> None:
    right = answer(*POOL.values())
    assert "another request" in str(fault(ASKED, {INFERENCE_ID: "soak-8"}, right))
    assert "another request" in str(fault(ASKED, {}, right))


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"error": "bad"}'])
def test_a_line_that_is_no_prediction_is_wrong(line: bytes) -> None:
    assert fault(ASKED, HEADERS, answer(POOL["a"], POOL["b"]) + line + b"\n") is not None


def test_texts_with_the_same_answer_are_not_asked() -> None:
    scored = [("a", Known(1, 0.5)), ("b", Known(1, 0.501)), ("c", Known(0, 0.5))]
    assert [*known_answers.apart(scored)] == ["a", "c"]


def test_the_slope_is_of_ten_thousand_requests() -> None:
    assert statistics.slope([0, 10_000, 20_000], [100, 101, 102]) == pytest.approx(1)
    # One sample that is off by 3 MB among many does not make a leak.
    flat = [100.0] * 100
    flat[50] = 103.0
    assert abs(statistics.slope(range(0, 100_000, 1000), flat)) < 0.01


def test_the_refused_come_back_and_a_late_question_is_counted_late() -> None:
    with servers.running(servers.ours(BUNDLED, MAX_IN_FLIGHT="1"), {0}) as running:
        running.wait(body(texts.FIRST))
        known = {
            text: Known(found["predicted_label"], found["probability"])
            for text in (texts.FIRST, "It broke.", "OK, but not great.")
            for found in running.client.post(body(text))
        }
        traffic = Traffic(running.port, Questions(known), range(1, 4))
        asyncio.run(traffic.run(8, back_to_back(0.5)))
        assert traffic.counts["refused"] > 0
        assert traffic.counts["asked"] == traffic.counts["right"] >= 8
        late = Traffic(running.port, Questions(known), range(1, 4))
        asyncio.run(late.run(1, iter([clock() - 5])))
        assert late.corrected.at(100) > 5000 > late.uncorrected.at(100)


def test_questions_are_lost_where_nobody_answers() -> None:
    traffic = Traffic(servers.free_port(), Questions(POOL), phases.LINES)
    asyncio.run(traffic.run(3, evenly(1000, 0.003)))
    assert (traffic.counts["asked"], traffic.counts["lost"], traffic.counts["right"]) == (3, 3, 0)


def fake(reply: bytes) -> Traffic:
    """Return what becomes of one request to a server that sends these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.write_eof()
        await reader.read()  # until the client leaves
        writer.close()

    async def ask() -> Traffic:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as serving:
            port = serving.sockets[0].getsockname()[1]
            traffic = Traffic(port, Questions({"a": POOL["a"]}), range(1, 2))
            await traffic.run(1, iter([clock()]))
            return traffic

    return asyncio.run(ask())


def test_an_answer_sent_twice_is_wrong_and_half_an_answer_is_lost() -> None:
    sent = answer(POOL["a"])
    head = f"HTTP/1.1 200 OK\r\n{INFERENCE_ID}: soak-1\r\nContent-Length: {len(sent)}\r\n\r\n"
    whole = head.encode() + sent
    once = fake(whole)
    assert (once.counts["right"], once.counts["wrong"], once.counts["lost"]) == (1, 0, 0)
    twice = fake(whole * 2)
    assert (twice.counts["wrong"], twice.reasons.total()) == (1, 1)
    half = fake(whole[:-5])
    assert (half.counts["right"], half.counts["wrong"], half.counts["lost"]) == (0, 0, 1)
