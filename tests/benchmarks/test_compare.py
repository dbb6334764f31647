"""This container beside the plain one: the page from made-up results, the plain app, the load."""

from __future__ import annotations

import importlib.util
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from benchmarks.compare import command, comparisons, cost, load, results_page
from benchmarks.harness import pages, results, servers
from benchmarks.harness.client import AnswerError, body
from tests.conftest import BLOG, lines


@pytest.fixture
def made_up() -> results.Results:
    """Every figure of every row: 1, 2 and 3, and ten times as much for what it is compared with."""
    facts = {"CPU": "made-up CPU", "CPU kind": "AVX2", "CPU flags": "avx512_vnni no"}
    found = results.Results("python -m benchmarks compare", facts, missing={"x": "why"})
    for row in comparisons.ROWS:
        found.values.setdefault(row.what, {})[row.who] = [1.0, 3.0, 2.0]
        if row.other:
            found.values[row.what][row.other] = [10.0, 30.0, 20.0]
    return found


def test_page_and_picture_are_made_from_results_json_alone(
    made_up: results.Results, tmp_path: Path
) -> None:
    made_up.write(tmp_path / "results.avx2.json")
    command.main(["--redraw", "--out", str(tmp_path)])
    assert (tmp_path / "RESULTS.md").read_text() == results_page.page(made_up)
    picture = (tmp_path / "results.svg").read_text()
    for title in ("cold start, s", "one short text, ms", "reviews a second", "peak memory", "USD"):
        assert title in picture
    # What is compared, and that it is not AWS that was measured.
    for words in ("this container", "plain container", "RoBERTa-base", "measured locally"):
        assert words in picture
    assert "made-up CPU, without VNNI" in picture
    assert "<text" in picture
    assert "10.0x faster" in picture
    assert "0.1x more" in picture
    assert "fill: #ffffff" in picture


def test_the_page_has_every_row_with_its_ratio_and_its_targets(made_up: results.Results) -> None:
    table = [line for line in results_page.page(made_up).splitlines() if line.startswith("| ")]
    for row in comparisons.ROWS:
        wanted = [f"| {row.title} |", f"2.{'0' * row.digits}".rstrip("."), row.unit]
        wanted += [comparisons.WHO[row.who]] if row.who != "ours" else []
        wanted += [comparisons.WHO[row.other], "| 1/10.00 |"] if row.other else []
        wanted += [goal.words for goal in row.goals]
        assert any(all(words in line for words in wanted) for line in table), row.title


def test_what_was_not_measured_is_said_so() -> None:
    text = results_page.page(results.Results("", {}, missing={"cost": "no Docker engine answers"}))
    assert "- cost: no Docker engine answers" in text
    assert "| yes |" not in text


def test_a_goal_is_met_or_not() -> None:
    assert comparisons.part(4.5).met(10, 45)
    assert not comparisons.part(4.5).met(10.1, 45)
    assert comparisons.faster(3).met(30, 10)
    assert not comparisons.faster(3).met(29, 10)
    assert comparisons.over(1.5, "ms").met(6.5, 5)
    assert not comparisons.over(1.5, "ms").met(6.6, 5)
    assert pages.at_most(0.4, "s").met(0.4, 0)
    assert not comparisons.times(1.6).met(1.7, 1)
    assert not comparisons.BELOW.met(1, 1)


def test_a_million_requests_are_billed_by_the_millisecond() -> None:
    # 100 ms at 1024 MB: 0.1 s * 0.00002 USD * 1,000,000
    assert cost.usd(99.2, 1024) == pytest.approx(2.0)
    assert cost.usd(100, 2048) == pytest.approx(4.0)


def test_the_plain_app_keeps_the_contract(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(checkpoint))
    spec = importlib.util.spec_from_file_location("plain_app", servers.PLAIN / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    client = module.app.test_client()
    assert client.get("/ping").status_code == 200
    answer = client.post("/invocations", data=BLOG)
    assert answer.status_code == 200
    for line in lines(answer.data):
        assert line["predicted_label"] in (-1, 0, 1)
        assert 1 / 3 < float(str(line["probability"])) <= 1


class Counting(BaseHTTPRequestHandler):
    """Answers every body with one line, and counts it."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[Counter[bytes]] = Counter()
    lock = threading.Lock()

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.seen[asked] += 1
        self.send_response(500 if b"bad" in asked else 200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"{}\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Start a tiny server that counts."""
    Counting.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as counting:
        thread = threading.Thread(target=counting.serve_forever)
        thread.start()
        yield counting.server_port
        counting.shutdown()
        thread.join()


def test_eight_clients_count_every_request_once_and_take_the_bodies_in_turn(port: int) -> None:
    bodies = [body(f"text {number}") for number in range(5)]
    found = load.run(port, bodies, clients=8, seconds=0.5)
    assert len(found.latencies) == sum(Counting.seen.values()) >= 8
    assert max(Counting.seen.values()) - min(Counting.seen[body] for body in bodies) <= 1
    assert found.seconds >= 0.5
    assert found.rate == len(found.latencies) / found.seconds


def test_a_load_with_a_bad_answer_is_no_figure(port: int) -> None:
    with pytest.raises(AnswerError, match="500"):
        load.run(port, [body("good"), body("bad")], clients=2, seconds=0.2)
