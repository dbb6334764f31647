"""Measure one start of a server: cold, warm, from disk, under load; and the least it could take."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.compare import load
from benchmarks.harness import servers, texts
from benchmarks.harness.client import body
from benchmarks.harness.statistics import Latencies
from benchmarks.harness.subjects import SHORT, Subject

# All workers of a server are up by then; their answers do not count.
WARM_UP_SECONDS = 3.0
# From the first answer until nothing is left to load in the background.
SETTLED_SECONDS = 2.0
CLIENTS = 8
# Of each length but SHORT, so many times fewer single records are sent.
FEWER = 10
DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def warm(
    subject: Subject, cpu: int, requests: int, reviews: Sequence[str], large: bytes
) -> dict[str, float]:
    """Time a cold start with files in the page cache, then what the warm server does and takes."""
    with servers.running(subject.launch, {cpu}) as running:
        answers = running.wait(body(texts.FIRST))
        found = {"cold": time.perf_counter() - running.started}
        subject.check(answers)
        found["rss_loaded"] = running.peak_rss()
        time.sleep(SETTLED_SECONDS)
        for tokens, text in subject.texts.items():
            single = body(text)
            count = requests if tokens == SHORT else math.ceil(requests / FEWER)
            times = Latencies(running.client.seconds(single) for _ in range(count))
            found |= _percentiles(times, tokens)
        many = body(*reviews)
        found["reviews"] = len(reviews) / running.client.seconds(many)
        found["rss"] = running.peak_rss()
        if large:
            running.client.post(large)
            found["rss_large"] = running.peak_rss()
        found["pss"] = running.pss()
    return found


def fill(subject: Subject, cpu: int) -> dict[str, float]:
    """Fill the page cache by a start that counts for nothing."""
    with servers.running(subject.launch, {cpu}) as running:
        subject.check(running.wait(body(texts.FIRST)))
    return {}


def undroppable() -> str:
    """Say why the page cache cannot be dropped here; empty if it can."""
    try:
        os.sync()
        DROP_CACHES.write_text("3")
    except OSError as error:
        return f"{DROP_CACHES} cannot be written ({error.strerror}); it takes root"
    return ""


def from_disk(subject: Subject, cpu: int) -> dict[str, float]:
    """Time a cold start with nothing in the page cache, and what it reads; needs root."""
    os.sync()
    DROP_CACHES.write_text("3")  # https://docs.kernel.org/admin-guide/sysctl/vm.html
    with servers.running(subject.launch, {cpu}) as running:
        answers = running.wait(body(texts.FIRST))
        seconds = time.perf_counter() - running.started
        subject.check(answers)
        return {"cold_disk": seconds, "disk": running.io("read_bytes") / 1e6}


def under_load(
    launch: servers.Launch, subject: Subject, reviews: Sequence[str], seconds: float
) -> dict[str, float]:
    """Let clients send single reviews; server and clients share two CPUs."""
    bodies = [body(text) for text in reviews]
    two = set(sorted(os.sched_getaffinity(0))[:2])
    with servers.pinned(two), servers.running(launch, two) as running:
        subject.check(running.wait(body(texts.FIRST)))
        load.run(running.port, bodies, CLIENTS, min(WARM_UP_SECONDS, seconds))
        found = load.run(running.port, bodies, CLIENTS, seconds)
    return {
        "load": found.rate,
        "load_p50": found.latencies.at(50),
        "load_p99": found.latencies.at(99),
    }


def floor(subject: Subject, cpu: int) -> dict[str, float]:
    """Time a bare script from exec to its printed logits, in seconds."""
    command = [sys.executable, str(servers.ROOT / "benchmarks" / "compare" / "bare_script.py")]
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"}
    with servers.pinned({cpu}) as others:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, str(subject.folder), texts.FIRST], env=environment, stdout=subprocess.PIPE
        )
        os.sched_setaffinity(0, others)
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - started
        process.communicate()
    if process.returncode:
        raise SystemExit(f"the bare script ended with {process.returncode}")
    logits = json.loads(line)
    probability = 1 / sum(math.exp(logit - max(logits)) for logit in logits)
    if abs(probability - subject.probability) > 0.1:
        raise SystemExit(f"the bare script answers {logits}")
    return {"cold": seconds}


def engine(subject: Subject, cpu: int, requests: int) -> dict[str, float]:
    """Time the engine alone, in milliseconds, for the ids that `warm` sends as text."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.compare.engine_alone",
        str(subject.folder),
        subject.texts[SHORT],
    ]
    with servers.pinned({cpu}):
        answer = subprocess.run(
            [*command, "--requests", str(requests)],
            cwd=servers.ROOT,
            check=True,
            capture_output=True,
        )
    return _percentiles(Latencies(json.loads(answer.stdout)), SHORT)


def _percentiles(times: Latencies, tokens: int) -> dict[str, float]:
    return {f"p50_{tokens}": times.at(50), f"p99_{tokens}": times.at(99)}
