"""Test the answers of each task, pairs of texts and both formats, in process and by a server."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BUNDLED, lines, packed_as
from tests.contract import targets
from tests.contract.targets import Answer, Target

JSON_LINES = "application/jsonlines"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
NAMES = ["late", "broken", "dear"]
BODY = b'{"features": ["it is good"]}\n{"text": "the zip broke !"}\n{"inputs": "bad"}\n'
SEVERAL = {"problem_type": "multi_label_classification", "labels": NAMES}
VALUES = {"problem_type": "regression", "labels": NAMES}


@contextmanager
def served(kind: str, model: Path, **environment: str) -> Iterator[Target]:
    variables = {"MODEL_DIR": str(model), "MODEL_LOAD": "lazy", **environment}
    if kind == "in process":
        yield targets.InProcess(variables)
    else:
        with targets.gunicorn(variables) as (server, process):
            server.wait(process)
            yield server


def ask(target: Target, body: bytes, kind: str = JSON_LINES, wishes: str = "") -> Answer:
    headers = {"Content-Type": kind} | ({ATTRIBUTES: wishes} if wishes else {})
    return target.request("POST", "/invocations", body, headers)


@pytest.fixture(scope="module", params=["in process", "gunicorn"])
def several(
    request: pytest.FixtureRequest, packed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """Serve a model that gives any number of labels, from a score of 0.4 on."""
    folder = tmp_path_factory.mktemp("several") / "model"
    with served(request.param, packed_as(folder, packed, **SEVERAL), THRESHOLD="0.4") as found:
        yield found


@pytest.mark.parametrize(
    ("wishes", "threshold"),
    [("", 0.4), ("threshold=0.3", 0.3), ("threshold=1", 1), ("threshold=0,scores=all", 0)],
)
def test_several_labels_are_those_from_the_threshold_on(
    several: Target, wishes: str, threshold: float
) -> None:
    found = lines(ask(several, BODY, wishes=wishes).body)
    assert len(found) == 3
    for line in found:
        assert list(line) == ["predicted_labels", "scores"]
        scores: Any = line["scores"]
        assert list(scores) == NAMES
        assert line["predicted_labels"] == [
            name for name, score in scores.items() if score >= threshold
        ]
        assert all(0 < score < 1 for score in scores.values())


def test_several_labels_in_csv_and_a_threshold_that_is_none(several: Target) -> None:
    body = b"it is good\n\xff\nbad\n"
    answer = ask(several, body, "text/csv", "on-bad-record=report,threshold=0")
    good, broken, bad = csv.reader(io.StringIO(answer.body.decode()))
    assert (good[0], bad[0]) == (";".join(NAMES), ";".join(NAMES))
    assert [len(good), len(bad)] == [4, 4]
    assert broken[:2] == ["", ""]
    refused = ask(several, body, "text/csv", "threshold=2")
    assert refused.status == 400
    assert "threshold=2" in json.loads(refused.body)["error"]


def test_values_are_answered_by_name_and_one_of_them_alone(packed: Path, tmp_path: Path) -> None:
    with served("in process", packed_as(tmp_path / "model", packed, **VALUES)) as target:
        for line in lines(ask(target, BODY).body):
            assert list(line) == ["predicted_values"]
            values: Any = line["predicted_values"]
            assert list(values) == NAMES
        (row,) = csv.reader(io.StringIO(ask(target, b"bad\n", "text/csv").body.decode()))
        assert list(map(float, row)) == pytest.approx(list(values.values()), abs=1e-3)


PAIRS = {
    "text_pair": b'{"text": "it broke", "text_pair": "is it good"}\n',
    "inputs": b'{"inputs": {"text": "it broke", "text_pair": "is it good"}}\n',
    "features": b'{"features": ["it broke", "is it good"]}\n',
    "csv": b'"it broke","is it good"\n',
}


@pytest.mark.parametrize(
    ("pairs", "read"),
    [("features", set(PAIRS)), ("text_pair", {"text_pair", "inputs"}), ("refused", set())],
)
def test_pairs_are_scored_where_the_model_reads_them_and_refused_elsewhere(
    packed: Path, tmp_path: Path, pairs: str, read: set[str]
) -> None:
    with served("in process", packed_as(tmp_path / "model", packed, pairs=pairs)) as target:
        found = {}
        for name, line in PAIRS.items():
            kind = "text/csv" if name == "csv" else JSON_LINES
            single = b"good\n" if name == "csv" else b'{"text": "good"}\n'
            answer = ask(target, single + line, kind)
            assert (answer.status == 200) == (name in read)
            report = ask(target, single + line, kind, "on-bad-record=report")
            assert report.status == 200
            first, second = report.body.splitlines()
            if name in read:
                found[name] = second
            else:
                (bad,) = json.loads(answer.body)["lines"]
                assert bad["line"] == 2
                assert b"text" in second
            assert b"error" not in first
        # However a pair is written, it is the same one, and another than its first text.
        (alone,) = lines(ask(target, b'{"text": "it broke"}\n').body)
        for name, line in found.items():
            if name == "csv":
                label, probability = line.decode().split(",")
            else:
                label, probability = reversed(json.loads(line).values())
            first = json.loads(found["text_pair"])
            assert int(label) == first["predicted_label"]
            assert float(probability) == pytest.approx(first["probability"], abs=1e-3)
            assert float(probability) != pytest.approx(alone["probability"], abs=1e-2)


def test_texts_that_were_cut_or_unknown_are_told_in_the_reply() -> None:
    with served("in process", BUNDLED) as target:
        long = json.dumps({"text": "it did not fit " * 400}).encode() + b"\n"
        answer = ask(target, long + b'{"text": ""}\n' + long + b'{"text": "good"}\n')
        assert answer.headers[ATTRIBUTES.lower()].endswith(",truncated=2,unknown=1")
        answer = ask(target, b'{"text": "good"}\n')
        assert answer.headers[ATTRIBUTES.lower()].count("=") == 2


def test_clients_of_hugging_faces_containers_are_answered_by_a_server() -> None:
    with served("gunicorn", BUNDLED, RESPONSE_FORMAT="huggingface") as target:
        question = {"inputs": ["I love it", "It broke"], "parameters": {"top_k": 2}}
        answer = ask(target, json.dumps(question).encode(), "application/json")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        found = json.loads(answer.body)
        assert [[set(each) for each in labels] for labels in found] == [
            [{"label", "score"}] * 2
        ] * 2
        assert [labels[0]["label"] for labels in found] == ["1", "-1"]
