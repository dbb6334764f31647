"""Test the metrics in a server's lines, and the window that counts labels."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serve.metrics import NAMESPACE, PredictionCounts, Values, Window
from tests.clock import Clock
from tests.conftest import BLOG, lines
from tests.serve import emf
from tests.serve.logged import Line, Logged, serving

KNOWN = ["-1", "0", "1"]
REQUEST = {
    "QueueTime",
    "InferenceTime",
    "RecordsPerRequest",
    "TokensPerRecord",
    "TruncatedRecords",
    "UnknownRecords",
}


def found(labels: dict[str, int], confidence: float) -> PredictionCounts:
    return PredictionCounts(sum(labels.values()), Counter(labels), confidence)


def told(logged: Logged) -> list[Line]:
    return [line for line in logged.lines() if "_aws" in line]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    """Run a server that has answered and was stopped, for what it has written."""
    with serving(tmp_path_factory.mktemp("life"), ENDPOINT_NAME="reviews") as logged:
        for body in (BLOG, BLOG + b"{}\n", BLOG, BLOG):  # the second is refused
            logged.ask(body)
        with ThreadPoolExecutor(8) as pool:
            asked = [
                pool.submit(logged.server.request, "POST", "/invocations", BLOG) for _ in range(8)
            ]
            assert {answer.result().status for answer in asked} == {200}
        logged.stop()
        yield logged


def test_cloudwatch_takes_every_line_that_has_metrics(life: Logged) -> None:
    assert len(told(life)) > 11
    for line in told(life):
        emf.check(line)
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == NAMESPACE
        assert emf.dimensions(line)["EndpointName"] == "reviews"
        assert abs(line["_aws"]["Timestamp"] / 1000 - line["time"]) < 60


def test_each_scored_request_has_metrics_and_a_refused_one_has_none(life: Logged) -> None:
    found = life.requests()
    assert [line["status"] for line in found].count(200) == 11
    for line in found:
        if line["status"] == 200:
            values = emf.metrics(line)
            assert set(values) == REQUEST
            assert values["RecordsPerRequest"] == (3, "Count")
            assert values["TokensPerRecord"][0] == pytest.approx(line["tokens"] / 3, abs=1e-3)
            both = line["tokenise_ms"] + line["infer_ms"]
            assert values["InferenceTime"][0] == pytest.approx(both, abs=0.02)
        else:
            assert "_aws" not in line


def test_a_process_tells_once_how_it_started(life: Logged) -> None:
    (line,) = [line for line in told(life) if "ModelLoadTime" in line]
    values = emf.metrics(line)
    assert set(values) == {"ModelLoadTime", "TimeToFirstPrediction"}
    assert {unit for _, unit in values.values()} == {"Milliseconds"}
    assert 0 < values["ModelLoadTime"][0] < values["TimeToFirstPrediction"][0]


def windows(logged: Logged) -> list[list[Line]]:
    """Lines of each window: one for each label, and one for all of them."""
    found: list[list[Line]] = [[]]
    for line in told(logged):
        if "LabelShare" in line:
            found[-1].append(line)
        elif "MeanConfidence" in line:
            found[-1].append(line)
            found.append([])
    assert found.pop() == []
    return found


def test_the_first_request_is_told_at_once_and_the_rest_when_the_server_stops(
    life: Logged,
) -> None:
    first, rest = windows(life)
    for window in (first, rest):
        *shares, confidence = window
        assert [line["Label"] for line in shares] == KNOWN
        assert all(set(emf.dimensions(line)) == {"EndpointName", "Label"} for line in shares)
        assert sum(line["LabelShare"] for line in shares) == pytest.approx(1, abs=1e-3)
        assert 1 / 3 < confidence["MeanConfidence"] < 1
        assert set(emf.dimensions(confidence)) == {"EndpointName"}
    assert sum(line["Predictions"] for line in first[:-1]) == 3
    assert sum(line["Predictions"] for line in rest[:-1]) == 3 * 10


def test_a_label_that_was_not_predicted_has_a_share_of_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as logged:
        answer, line = logged.ask(b'{"text": "I love it, perfect fit"}\n')
        (window,) = windows(logged)
    assert lines(answer.body)[0]["predicted_label"] == 1
    assert [each["LabelShare"] for each in window[:-1]] == [0, 0, 1]
    assert window[-1]["MeanConfidence"] == line["confidence"]
    assert emf.dimensions(line) == {}  # without ENDPOINT_NAME


def test_metrics_can_be_left_out_of_the_lines(tmp_path: Path) -> None:
    with serving(tmp_path, METRICS="off", ENDPOINT_NAME="reviews") as logged:
        for _ in range(2):
            _, line = logged.ask(BLOG)
        logged.stop()
    assert line["labels"]
    assert len(logged.requests()) == len(logged.lines()) == 2
    assert told(logged) == []


class Told:
    """What a window told, and how to wait for it."""

    def __init__(self) -> None:
        self.predictions: Counter[str] = Counter()
        self.confidence: list[float] = []
        self.times: list[float] = []
        self.once = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def __call__(self, values: Values, at: float) -> None:
        self.times.append(at)
        if "MeanConfidence" in values.metrics:
            self.confidence.append(values.metrics["MeanConfidence"][0])
            self.once.set()
            self.goes_on.wait(30)
        else:
            count = int(values.metrics["Predictions"][0])
            self.predictions[values.dimensions["Label"]] += count

    def again(self) -> None:
        """Wait until a window has been told."""
        assert self.once.wait(30)
        self.once.clear()


def test_after_the_first_request_a_window_is_told_when_its_time_is_over() -> None:
    told = Told()
    window = Window(0.05, told, Clock())
    window.add(found({"1": 2}, 1.5), KNOWN)
    assert told.confidence == [0.75]
    told.again()
    window.add(found({"1": 1}, 0.5), KNOWN)
    window.add(found({"0": 3}, 1.5), KNOWN)
    told.again()
    window.add(found({"-1": 1}, 0.9), KNOWN)  # there is a second window, and a third
    told.again()
    assert told.confidence == [0.75, 0.5, 0.9]
    assert told.predictions == {"1": 3, "0": 3, "-1": 1}


def test_a_request_after_the_minute_tells_of_itself_at_once() -> None:
    """No timer: the process may stand still from the answer on, and then be dropped."""
    told, clock = Told(), Clock()
    window = Window(60, told, clock)
    for label in KNOWN:
        window.add(found({label: 1}, 0.5), KNOWN)
        assert told.predictions[label] == 1
        clock.now += 60
    assert len(told.confidence) == 3


def test_what_a_timer_tells_late_has_the_time_of_its_last_prediction() -> None:
    told, clock = Told(), Clock()
    window = Window(0.3, told, clock)
    window.add(found({"1": 1}, 0.5), KNOWN)
    told.again()
    window.add(found({"1": 1}, 0.6), KNOWN)
    counted = time.time()
    clock.now += 3600
    told.again()
    assert time.time() - counted >= 0.2
    assert max(told.times) <= counted
    window.add(found({"1": 1}, 0.7), KNOWN)  # it stood still: this may be the last
    assert told.confidence == [0.5, 0.6, 0.7]


def test_what_comes_while_a_window_is_told_has_a_window_of_its_own() -> None:
    told = Told()
    window = Window(0.05, told, Clock())
    window.add(found({"1": 1}, 0.5), KNOWN)
    told.again()
    told.goes_on.clear()
    window.add(found({"1": 1}, 0.6), KNOWN)
    told.again()  # and goes on telling
    window.add(found({"0": 1}, 0.7), KNOWN)
    told.goes_on.set()
    told.again()
    assert told.confidence == [0.5, 0.6, 0.7]


def test_closing_tells_the_rest_and_only_once() -> None:
    told = Told()
    window = Window(600, told)
    window.close()  # nothing has been counted
    window.add(found({"1": 1}, 0.5), KNOWN)
    window.add(found({"0": 1}, 0.7), KNOWN)
    window.close()
    window.close()
    assert told.confidence == [0.5, 0.7]
    assert told.predictions == {"1": 1, "0": 1, "-1": 0}


def test_closing_waits_for_a_window_that_is_being_told() -> None:
    """Else the process would end with half of it written."""
    told = Told()
    window = Window(0.05, told, Clock())
    window.add(found({"1": 1}, 0.5), KNOWN)
    told.again()
    told.goes_on.clear()
    window.add(found({"1": 1}, 0.6), KNOWN)
    told.again()  # and goes on telling
    last = threading.Thread(target=window.close)
    last.start()
    last.join(0.1)
    assert last.is_alive()
    told.goes_on.set()
    last.join(30)
    assert not last.is_alive()
    assert told.confidence == [0.5, 0.6]


def test_nothing_is_told_twice_or_lost_among_eight_threads() -> None:
    told = Told()
    window = Window(0.001, told)

    def add(thread: int) -> None:
        for _ in range(500):
            window.add(found({KNOWN[thread % 3]: 1}, 0.5), KNOWN)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    window.close()
    assert told.predictions == {"-1": 1500, "0": 1500, "1": 1000}
    assert len(told.confidence) > 2
    assert set(told.confidence) == {0.5}
