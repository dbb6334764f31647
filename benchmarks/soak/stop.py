"""Tell a server to stop while fifty requests are under way, and count how they end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from itertools import repeat

from benchmarks.harness.servers import Server
from benchmarks.soak.traffic import Traffic, clock

REQUESTS = 50
# All that is under way when the signal comes would take the server about so long.
WORK_SECONDS = 8.0
# By then every request has been sent, and none has been answered.
SENT_SECONDS = 0.5
# The platform kills 30 seconds after SIGTERM.
LONGEST_SECONDS = 40.0


def lines(records_per_second: float) -> int:
    """Return the records of each request, so that all of them are work for a while."""
    return max(1, round(records_per_second * WORK_SECONDS / REQUESTS))


async def stop(running: Server, traffic: Traffic) -> dict[str, float]:
    """Send requests, then SIGTERM to the main process, and wait for all that comes of it."""
    asking = asyncio.create_task(traffic.run(REQUESTS, repeat(clock(), REQUESTS)))
    await asyncio.sleep(SENT_SECONDS)
    early = traffic.outcomes.right
    began = clock()
    running.process.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(_wait, running.process)
    seconds = clock() - began
    await asking
    found = traffic.outcomes
    refused = found.reasons["status 503"]
    return {
        "stop_sent": found.asked,
        "stop_early": early,
        "stop_answered": found.right,
        "stop_refused": refused,
        "stop_lost": found.lost,
        "stop_other": found.asked - found.right - refused - found.lost,
        "stop_seconds": seconds,
        "stop_code": code,
    }


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
