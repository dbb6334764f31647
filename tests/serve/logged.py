"""Run a server whose stdout and stderr can be read."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import BUNDLED
from tests.contract import targets

Line = dict[str, Any]


@dataclass(frozen=True)
class Logged:
    """A server and the files that it writes to."""

    server: targets.OverHttp
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def lines(self, after: int = 0) -> list[Line]:
        """Return the lines on stdout, each of which must be JSON."""
        return [json.loads(line) for line in self.out.read_bytes()[after:].splitlines()]

    def requests(self, after: int = 0) -> list[Line]:
        """Return those of them that are about a request."""
        return [line for line in self.lines(after) if line["event"] == "request"]

    def ask(
        self,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        path: str = "/invocations",
        method: str = "POST",
    ) -> tuple[targets.Answer, Line]:
        """Return an answer and the one line about it, which is there by the time of the answer."""
        before = self.out.stat().st_size
        answer = self.server.request(method, path, body, headers)
        (line,) = self.requests(before)
        return answer, line

    def stop(self) -> None:
        """End the server, as the platform does."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Logged]:
    """Serve the bundled model, unless the environment names another."""
    out, err = folder / "stdout", folder / "stderr"
    with (
        out.open("wb") as output,
        err.open("wb") as log,
        targets.gunicorn({"MODEL_DIR": str(BUNDLED), **environment}, log, output) as found,
    ):
        server, process = found
        server.wait(process)
        yield Logged(server, process, out, err)
