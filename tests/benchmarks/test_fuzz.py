"""Check what odd bodies are made, what is noticed in answers, and send some to a real server."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.fuzz import fuzz_page
from benchmarks.fuzz.answer_check import expected, faults
from benchmarks.fuzz.bodies import KINDS
from benchmarks.fuzz.cases import SECRET, Case, case
from benchmarks.fuzz.command import run
from benchmarks.fuzz.findings import Findings, keep
from benchmarks.fuzz.target import Target
from benchmarks.harness.client import Answer
from benchmarks.harness.results import Results
from tests.conftest import ROOT

LINES = {"content-type": "application/jsonlines"}
JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
LINE = b'{"probability": 0.75, "predicted_label": -1}\n'
TWO = Case(7, "made up", b'{"text": "a"}\n\n{"text": "b"}\n', records=2)
ANY = replace(TWO, records=None)
REPORTED = replace(
    ANY, headers={"X-Amzn-SageMaker-Custom-Attributes": "on-bad-record=report,scores=all"}
)
ONE = Case(8, "made up", b'{"text": "a"}', {"Content-Type": "application/json"})
LIST = replace(ONE, body=b'[{"text": "a"}, %b]' % (b"1" * 5000))
NONE = replace(ONE, body=b"null", headers={**ONE.headers, **REPORTED.headers})
NO_LINES: list[object] = []


def refusal(code: str = "bad_request", lines: object = NO_LINES, **more: object) -> bytes:
    return json.dumps({"error": "why", "code": code, "lines": lines, **more}).encode()


def bad(*numbers: int) -> list[dict[str, object]]:
    return [{"line": number, "error": "why"} for number in numbers]


def test_a_few_hundred_bodies_are_answered_as_they_should_be(tmp_path: Path) -> None:
    page, saved = tmp_path / "FUZZ.md", tmp_path / "saved"
    command = [sys.executable, "-m", "benchmarks", "fuzz", "--process", "--bodies", "400"]
    command += ["--seed", "3", "--page", str(page), "--save", str(saved)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    assert "\n| violations | 0 |\n" in found.stdout
    assert "| bodies | 400 |" in page.read_text()
    assert "| valid records |" in page.read_text()
    assert not saved.exists()


def test_one_body_is_sent_again_on_request() -> None:
    options = ["--process", "--only", "11", "--seed", "3"]
    command = [sys.executable, "-m", "benchmarks", "fuzz", *options]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert str(case(3, 11).body[:20]).removesuffix("'") in found.stdout
    assert "status " in found.stdout


def test_an_index_is_always_the_same_request_and_its_neighbour_is_another() -> None:
    assert [case(1, index) for index in range(50)] == [case(1, index) for index in range(50)]
    assert case(1, 2) != case(1, 3)
    assert case(1, 2) != case(2, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_must_be_scored_has_as_many_records_as_it_says(kind: str) -> None:
    types = {"lines": {}, "json": {"Content-Type": "application/json"}, "csv": {}}
    for seed in range(10 if kind == "as large as may be" else 100):
        made = KINDS[kind][1](random.Random(seed), SECRET)
        assert len(made.content) < 7_000_000
        if made.records is not None:
            assert expected(Case(0, kind, made.content, types[made.form])) == made.records


def test_bodies_and_headers_are_of_all_kinds() -> None:
    found = [case(1, index) for index in range(3000)]
    assert {each.kind for each in found} >= set(KINDS) - {"as large as may be"}
    assert 0.2 < sum(each.records is not None for each in found) / len(found) < 0.5
    assert max(len(value) for each in found for value in each.headers.values()) == 1024
    assert any(each.chunked for each in found)
    assert sum(len(each.body) for each in found) / len(found) < 20_000


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (TWO, Answer(200, LINES, LINE * 2)),
        (TWO, Answer(200, JSON, b"[%b,%b]" % (LINE, LINE))),
        (TWO, Answer(200, CSV, b"-1,0.75\n1,1.0\n")),
        (TWO, Answer(503, JSON | {"retry-after": "2"}, refusal("overloaded"))),
        (ONE, Answer(200, JSON, LINE)),
        (LIST, Answer(400, JSON, refusal(lines=bad(2)))),
        (NONE, Answer(200, JSON, b'{"error": "why"}\n')),
        (ANY, Answer(400, JSON, refusal(lines=bad(1, 3), omitted=1))),
        (ANY, Answer(413, JSON, refusal("too_many_records"))),
        (REPORTED, Answer(200, LINES, LINE + b'{"error": "why"}\n')),
        (REPORTED, Answer(200, CSV, b'-1,0.6,0.6,0.2,0.2\n,,"no, not this"\n')),
    ],
)
def test_an_answer_as_it_should_be_has_no_faults(sent: Case, answer: Answer) -> None:
    assert faults(sent, answer) == []


@pytest.mark.parametrize(
    ("sent", "answer", "words"),
    [
        (TWO, Answer(200, LINES, LINE), "1 answers to 2 records"),
        (ANY, Answer(200, LINES, LINE * 3), "3 answers to 2 records"),
        (ANY, Answer(200, CSV, b"1,0.5\n"), "1 answers to 2 records"),
        (TWO, Answer(200, LINES, LINE * 2 + b"{"), "not ended"),
        (TWO, Answer(200, LINES, LINE + b"{\n"), "JSONDecodeError"),
        (TWO, Answer(200, {}, LINE * 2), "KeyError"),
        (TWO, Answer(200, {"content-type": "text/html"}, LINE * 2), "type text/html"),
        (TWO, Answer(200, LINES, LINE + LINE.replace(b"0.75", b"1.5")), "probability 1.5"),
        (TWO, Answer(200, LINES, LINE + LINE.replace(b"0.75", b"NaN")), "probability nan"),
        (TWO, Answer(200, LINES, LINE + LINE.replace(b"-1", b"2")), "label 2"),
        (TWO, Answer(200, LINES, LINE + LINE.replace(b"-1", b"true")), "label True"),
        (TWO, Answer(200, LINES, LINE + b'{"error": "why"}\n'), "unasked"),
        (TWO, Answer(200, CSV, b"1,0.5\n1,0.5,0.5\n"), "3 columns"),
        (REPORTED, Answer(200, CSV, b"1,0.5\n1,0.5,0.5,0.5,0.5\n"), "add up"),
        (ONE, Answer(200, JSON, b"[" + LINE + b"]"), "a list for one object"),
        (LIST, Answer(200, JSON, LINE), "a list for one object"),
        (LIST, Answer(400, JSON, refusal(lines=bad(3))), "no such line"),
        (TWO, Answer(400, JSON, refusal()), "nothing is wrong"),
        (ANY, Answer(400, LINES, refusal()), "not JSON"),
        (ANY, Answer(400, JSON, refusal("overloaded")), "code overloaded"),
        (ANY, Answer(400, JSON, refusal(trace="x")), "keys"),
        (ANY, Answer(400, JSON, refusal(lines=bad(5))), "no such line"),
        (ANY, Answer(400, JSON, refusal(lines=bad(0))), "no such line"),
        (ANY, Answer(400, JSON, refusal(lines=bad(3, 1))), "out of order"),
        (ANY, Answer(400, JSON, refusal(lines=bad(1), omitted=0)), "nothing omitted"),
        (ANY, Answer(400, JSON, refusal(lines=[{"line": 1}])), "odd lines"),
        (ANY, Answer(400, JSON, refusal("x" * 2048)), "too long"),
        (ANY, Answer(400, JSON, refusal() + SECRET.encode()), "quotes a text"),
        (ANY, Answer(503, JSON, refusal("overloaded")), "retry-after"),
        (ANY, Answer(503, JSON | {"retry-after": "1"}, refusal("model_unavailable")), "code"),
        (ANY, Answer(500, JSON, refusal("internal_error")), "status 500"),
        (ANY, Answer(404, JSON, refusal("not_found")), "status 404"),
    ],
)
def test_what_is_wrong_with_an_answer_is_noticed(sent: Case, answer: Answer, words: str) -> None:
    assert words in "; ".join(faults(sent, answer))


def test_a_log_tells_of_crashes_texts_and_troubles() -> None:
    found = Findings(faults={5: ["status 500"]})
    found.read_log(
        [
            b"[INFO] Booting worker with pid: 8",
            b'{"event": "request", "status": 200}',
            b"WARNING serve: cannot read %b12 and %b34" % ((SECRET.encode(),) * 2),
            b"ERROR serve.error_answers: internal error 1f: KeyError",
            b"[INFO] Booting worker with pid: 9",
        ]
    )
    assert (found.workers, found.quoted, len(found.trouble)) == (2, {12, 34}, 1)
    told = found.complaints()
    assert [line.partition(":")[0] for line in told[:3]] == ["body 5", "body 12", "body 34"]
    assert told[-1] == "2 workers were started"
    quiet = Findings()
    quiet.read_log([b"Booting worker"])
    assert quiet.complaints() == []


def test_memory_that_grows_is_told_by_the_body_once_it_is_warm() -> None:
    memory = [(count, 50 + count / 5000) for count in range(20_000, 100_001, 2000)]
    found = Findings(Counter({("empty", "400"): 100_000}), memory=[(0, 10.0), *memory])
    results = Results("", {})
    keep(found, results)
    assert fuzz_page.growth(results) == pytest.approx(2.0)
    tenths = [10, *(51 + 2 * part for part in range(2, 10))]
    assert fuzz_page.tenths(results) == pytest.approx(tenths, abs=1.1)
    assert fuzz_page.summary(results)["memory for each 10,000 bodies"] == "+2.00 MB"


class Failing(BaseHTTPRequestHandler):
    """Answers no body well, and some not at all."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        if "Accept" not in self.headers:
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def broken() -> Iterator[Target]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as failing:
        thread = threading.Thread(target=failing.serve_forever)
        thread.start()
        yield Target(failing.server_port, lambda: 1.0, list)
        failing.shutdown()
        thread.join()


def test_each_body_with_a_bad_answer_or_none_is_saved(broken: Target, tmp_path: Path) -> None:
    found = run(broken, seed=1, bodies=60, connections=3, save=tmp_path)
    assert {status for _, status in found.answers} == {"500", "none"}
    assert set(found.faults) == set(range(60))
    for index in range(60):
        assert (tmp_path / f"1-{index}.body").read_bytes() == case(1, index).body
