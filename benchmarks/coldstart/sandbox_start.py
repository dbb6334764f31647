"""Time a start in the sandbox of an endpoint, from `docker run` to the first correct answer."""

from __future__ import annotations

import time
from datetime import datetime

from benchmarks.harness import containers, texts
from benchmarks.harness.client import body
from benchmarks.harness.subjects import Subject
from platform_facts import vcpus

MEMORY_MB = 1024
SANDBOX = f"in the sandbox at {MEMORY_MB:,} MB ({vcpus(MEMORY_MB):.2f} CPU)"
POLL_SECONDS = 0.005


def start(image: str, subject: Subject) -> dict[str, float]:
    """Return the seconds until the container has started, and from there to the first answer."""
    with containers.running(image, containers.ours(subject.folder), MEMORY_MB) as running:
        answers = running.client.wait(body(texts.FIRST), running.alive, POLL_SECONDS)
        answered = time.time()
        subject.check(answers)
        running.container.reload()
        began = datetime.fromisoformat(running.container.attrs["State"]["StartedAt"]).timestamp()
    return {
        "created": began - running.asked,
        "sandbox": answered - began,
        "docker_run": answered - running.asked,
    }
