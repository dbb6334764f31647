"""Run a container that waits in place of a model: whatever it is asked, it hardly needs a CPU.

The times of its starts and answers are log-normal. Only Python's own library is imported, so that
a start is a wait, too.
"""

from __future__ import annotations

import math
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Wait(NamedTuple):
    """A log-normal time: its median in seconds, and the standard deviation of its logarithm."""

    median: float
    deviation: float

    def take(self) -> None:
        """Wait for a time drawn at random."""
        time.sleep(random.lognormvariate(math.log(self.median), self.deviation))


START = Wait(1.0, 0.2)
ANSWER = Wait(0.03, 0.5)  # one in a hundred takes 0.1 s


class Handler(BaseHTTPRequestHandler):
    """Answers pings at once, and requests after a wait."""

    protocol_version = "HTTP/1.1"  # keeps connections open
    wbufsize = -1  # headers and body leave together

    def do_GET(self) -> None:
        """Answer a ping."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Read a request, wait, and answer it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        ANSWER.take()
        self._answer(b"{}\n")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    START.take()
    address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    ThreadingHTTPServer(address, Handler).serve_forever()
