#!/usr/bin/env python3
"""A container that does with a request what the request says. It is run as `serve`.

    {"do": "tell"}                 200, what it was sent, and who it is
    {"do": "reply", "status": 400, "text": "...", "repeat": 1}
    {"do": "hold", "until": PATH}  answers when that file is there
    {"do": "exit"}, {"do": "cut"}, {"do": "drip"}, {"do": "fall_silent", "seconds": 1},
     {"do": "allocate"}, {"do": "reach"}

Variables: VERSION is told; with STUBBORN, SIGTERM is ignored; PING is the status that pings are
answered with, or a file that holds it; "exit" ends at once, "never" never listens.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PING = os.environ.get("PING", "200")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status = int(Path(PING).read_text() if "/" in PING else PING)
        self.answer(status, b'{"error": "not today"}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = json.loads(body)
        getattr(self, asked.pop("do"))(**asked)

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-told")
        self.send_header("x-amzn-sagemaker-custom-attributes", "seen")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def tell(self, **told: Any) -> None:
        told |= {"headers": dict(self.headers), "pid": os.getpid()}
        told |= {
            "version": os.environ.get("VERSION"),
            "memory": os.environ.get("MEMORY_SIZE_IN_MB"),
        }
        self.answer(200, json.dumps(told).encode())

    def reply(self, status: int, text: str, repeat: int = 1, encoding: str = "utf-8") -> None:
        self.answer(status, (text * repeat).encode(encoding))

    def hold(self, until: str) -> None:
        print("holding", flush=True)
        while not Path(until).exists():
            time.sleep(0.005)
        self.tell()

    def exit(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def cut(self) -> None:
        self.answer(200, b"half", length=8)
        self.close_connection = True

    def drip(self) -> None:
        self.answer(200, b"", length=1000)
        for _ in range(1000):
            self.wfile.write(b".")
            time.sleep(0.05)

    def fall_silent(self, seconds: float) -> None:
        self.answer(200, b"", length=1000)
        time.sleep(seconds)
        self.wfile.write(b".")
        time.sleep(3600)

    def allocate(self) -> None:
        kept = []
        while True:
            kept.append(b"x" * 2**24)

    def reach(self) -> None:
        """Tell what of the machine can be reached from here."""
        found: dict[str, Any] = {"uid": os.getuid(), "gid": os.getgid()}
        for name in ("/written", "/opt/ml/model/written", "/dev/shm/written", "/tmp/written"):
            try:
                Path(name).write_text("")
                found[name] = "written"
            except OSError as error:
                found[name] = type(error).__name__
        status = Path("/proc/self/status").read_text()
        found |= dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
        found["environment"] = dict(os.environ)
        found["rehearse"] = importlib.util.find_spec("rehearse") is not None
        self.answer(200, json.dumps(found).encode())

    def log_message(self, *_: object) -> None:
        print(f"asked for {self.path}", flush=True)


def main() -> None:
    if PING == "exit":
        sys.exit("no, I will not")
    if PING == "never":
        signal.pause()
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    server = ThreadingHTTPServer(("0.0.0.0", port), Handler)
    server.daemon_threads = True
    print("listening", flush=True)
    ends = {} if os.environ.get("STUBBORN") else {signal.SIGTERM: lambda *_: os._exit(0)}
    signal.signal(signal.SIGTERM, ends.get(signal.SIGTERM, signal.SIG_IGN))
    server.serve_forever()


if __name__ == "__main__":
    main()
