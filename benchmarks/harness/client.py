"""A port in, answers and their times out: one keep-alive client of /invocations."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

HEADERS = {"Content-Type": "application/jsonlines"}
START_SECONDS = 120.0
# The platform gives up after 60 seconds; a benchmark had rather know how long it takes.
ANSWER_SECONDS = 600.0
POLL_SECONDS = 0.002


class AnswerError(Exception):
    """The server answered something else than 200, or nothing at all."""


class Client:
    """One connection to a server on this machine, kept where the server keeps it.

    Where it does not (gunicorn's sync worker closes each one), the next request connects anew.
    """

    def __init__(
        self, port: int, seconds: float = ANSWER_SECONDS, path: str = "/invocations"
    ) -> None:
        self._path = path
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        self.asked = 0.0  # time.perf_counter() just before the last request

    def post(self, body: bytes) -> list[dict[str, Any]]:
        """The predictions for a body of JSON Lines; raises AnswerError or OSError."""
        self.asked = time.perf_counter()
        try:
            self._connection.request("POST", self._path, body, HEADERS)
            response = self._connection.getresponse()
            answer = response.read()
        except http.client.HTTPException as error:
            # RemoteDisconnected is one of both, and is a ConnectionError to who waits for a start.
            self.close()
            if isinstance(error, OSError):
                raise
            raise AnswerError(f"no HTTP: {error!r}") from error
        if response.status != 200:
            raise AnswerError(f"the server answered {response.status}: {answer[:300]!r}")
        return [json.loads(line) for line in answer.splitlines()]

    def seconds(self, body: bytes) -> float:
        """How long the answer to a body takes."""
        start = time.perf_counter()
        self.post(body)
        return time.perf_counter() - start

    def wait(
        self, body: bytes, alive: Callable[[], bool], poll: float = POLL_SECONDS
    ) -> list[dict[str, Any]]:
        """Ask until the server answers; raises AnswerError once it is no longer alive."""
        start = time.perf_counter()
        while time.perf_counter() - start < START_SECONDS:
            try:
                return self.post(body)
            except ConnectionError:  # the port is not open yet
                self.close()
                if not alive():
                    raise AnswerError("the server has ended; its own words are above") from None
                time.sleep(poll)
        raise AnswerError(f"no answer within {START_SECONDS:.0f} seconds")

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._connection.close()


def body(*texts: str) -> bytes:
    """Texts as JSON Lines, one record each."""
    return b"".join(json.dumps({"features": [text]}).encode() + b"\n" for text in texts)
