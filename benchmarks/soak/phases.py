"""Take a server through all phases of a soak, and keep the figures of each.

- Each number of connections in a closed loop, the largest first: this warms the server up, and
  tells how many requests it can answer in a second.
- In rounds, each number of connections in an open loop at a part of that rate: latencies, memory,
  pings. benchmarks/soak/traffic.py says why the loop is open.
- The most connections in a closed loop with larger requests: pings under saturation.
- SIGTERM with fifty requests under way.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat

from benchmarks.harness import servers
from benchmarks.harness.results import Results
from benchmarks.harness.statistics import slope
from benchmarks.soak.known_answers import Questions
from benchmarks.soak.observation import Pings, memory_sampled, pinged
from benchmarks.soak.traffic import Traffic, back_to_back, evenly

# Every number of connections has its turn so often, so that a slow minute of the machine, or
# memory that grows, meets them all.
ROUNDS = 5
# Of the requests that a closed loop gets answered: what is busy all the time, queues for ever.
RATE = 0.7
# Records of a request; of one under saturation.
LINES, MANY_LINES = range(1, 8), range(32, 33)
# What all closed loops take, and what saturation takes, for each second of the rounds.
WARM_UP_PART, SATURATION_PART = 1 / 20, 1 / 15
# Of memory; more often than once a second, taking them would slow the server down.
SAMPLES, LEAST_SECONDS = 400, 1.0
COUNTS = ("asked", "right", "refused", "wrong", "lost", "errors")
PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
# Requests under way when SIGTERM comes; all of them are work for about so many seconds.
STOP_REQUESTS, STOP_WORK_SECONDS = 50, 8.0
# By then every request has been sent, and none has been answered.
SENT_SECONDS = 0.5


@dataclass(frozen=True)
class Phases:
    """One server from its warm-up to its end; figures go to `found`."""

    running: servers.Server
    questions: Questions
    found: Results
    connections: Sequence[int]
    seconds: float  # of the rounds

    def run(self) -> None:
        """Go through all phases; raises SystemExit if the server ends before it is told to."""
        rates = self._warm_up()
        self._rounds(rates)
        asyncio.run(self._stop(self._saturate()))
        sums = (*COUNTS, "without 200")
        whole = {what: sum(map(sum, self.found.values[what].values())) for what in sums}
        self.found.add("all", whole)

    def _warm_up(self) -> dict[int, float]:
        """Return the requests a second for each number of connections, in a closed loop."""
        traffic = Traffic(self.running.port, self.questions, LINES)
        seconds = self.seconds * WARM_UP_PART / len(self.connections)
        rates = {}
        for count in sorted(self.connections, reverse=True):
            before = traffic.counts["right"]
            took = self._ask(traffic, count, back_to_back(seconds))
            rates[count] = (traffic.counts["right"] - before) / took
            rate = {"a second, closed loop": rates[count], "sent a second": RATE * rates[count]}
            self.found.add(str(count), rate)
        self._count("warm-up", traffic)
        return rates

    def _rounds(self, rates: dict[int, float]) -> None:
        """Measure latencies, memory and pings."""
        from tqdm import tqdm

        traffics = {
            count: Traffic(self.running.port, self.questions, LINES) for count in self.connections
        }
        seconds = self.seconds / ROUNDS / len(traffics)

        def answered() -> int:
            return sum(traffic.counts["right"] for traffic in traffics.values())

        interval = max(LEAST_SECONDS, self.seconds / SAMPLES)
        keep = partial(self.found.add, "all")
        sampled = memory_sampled(self.running, answered, interval, keep)
        with pinged(self.running.port) as pings, sampled:
            for count in tqdm([*traffics] * ROUNDS, unit="turn", disable=not sys.stderr.isatty()):
                self._ask(traffics[count], count, evenly(RATE * rates[count], seconds))
        for count, traffic in traffics.items():
            self._count(str(count), traffic)
            self._latencies(str(count), traffic)
        self._pings("rounds", pings)
        requests = self.found.of("requests", "all")
        half = (len(requests) - 1) // 2
        for kind in ("rss", "anonymous"):
            megabytes = self.found.of(kind, "all")
            late = slope(requests[half:], megabytes[half:])
            whole = slope(requests, megabytes)
            self.found.add("all", {f"slope_{kind}": whole, f"late_slope_{kind}": late})

    def _saturate(self) -> float:
        """Ping while as much waits as connections can bring; return the records a second."""
        traffic = Traffic(self.running.port, self.questions, MANY_LINES)
        times = back_to_back(self.seconds * SATURATION_PART)
        with pinged(self.running.port) as pings:
            took = self._ask(traffic, max(self.connections), times)
        self._count("saturation", traffic)
        self._pings("saturation", pings)
        return traffic.counts["records"] / took

    async def _stop(self, records_per_second: float) -> None:
        """Send requests, then SIGTERM to the main process, and wait for all that comes of it."""
        lines = max(1, round(records_per_second * STOP_WORK_SECONDS / STOP_REQUESTS))
        traffic = Traffic(self.running.port, self.questions, range(lines, lines + 1), patience=0)
        now = repeat(time.perf_counter(), STOP_REQUESTS)
        asking = asyncio.create_task(traffic.run(STOP_REQUESTS, now))
        await asyncio.sleep(SENT_SECONDS)
        early, began = traffic.counts["right"], time.perf_counter()
        await asyncio.to_thread(servers.stop, self.running.process)
        seconds = time.perf_counter() - began
        await asking
        asked, right, lost = (traffic.counts[what] for what in ("asked", "right", "lost"))
        refused = traffic.reasons["status 503"]
        self.found.add(
            "SIGTERM",
            {
                "sent": asked,
                "answered before it": early,
                "answered in full": right,
                "503": refused,
                "no answer": lost,
                "other": asked - right - refused - lost,
                "exit after": seconds,
                "exit code": self.running.process.returncode,
            },
        )
        self._reasons("SIGTERM", traffic)

    def _ask(self, traffic: Traffic, connections: int, times: Iterator[float]) -> float:
        took = asyncio.run(traffic.run(connections, times))
        if self.running.process.poll() is not None:
            raise SystemExit("the server has ended by itself; its own words are above")
        return took

    def _count(self, who: str, traffic: Traffic) -> None:
        self.found.add(who, {what: traffic.counts[what] for what in COUNTS})
        self._reasons(who, traffic)

    def _reasons(self, who: str, traffic: Traffic) -> None:
        for why, times in traffic.reasons.items():
            self.found.facts[f"{who}: {why}"] = f"{times} times"

    def _latencies(self, who: str, traffic: Traffic) -> None:
        for name, percentile in PERCENTILES.items():
            self.found.add(who, {name: traffic.corrected.at(percentile)})
            self.found.add(who, {f"uncorrected {name}": traffic.uncorrected.at(percentile)})
        for percentile, milliseconds in traffic.corrected.curve():
            self.found.add(who, {"percentile": percentile, "latency": milliseconds})

    def _pings(self, who: str, pings: Pings) -> None:
        self.found.add(who, {"pings": len(pings.latencies), "without 200": pings.failed})
        for name, percentile in PERCENTILES.items():
            self.found.add(who, {f"ping {name}": pings.latencies.at(percentile)})
        self.found.add(
            who,
            {f"connect {name}": pings.connects.at(PERCENTILES[name]) for name in ("p99", "max")},
        )
