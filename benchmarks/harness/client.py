"""Ask a server on this machine, and time its answers: one connection a thread, or hundreds on one.

Connections are kept alive. Where a server keeps none (gunicorn's sync worker closes each one), the
next request connects anew.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

HEADERS: Mapping[str, str] = {"Content-Type": "application/jsonlines"}
PATH = "/invocations"
START_SECONDS = 120.0
# The platform gives up after 60 seconds; a benchmark had rather know how long it takes.
ANSWER_SECONDS = 600.0
POLL_SECONDS = 0.002
LEAVE_SECONDS = 5.0


class AnswerError(Exception):
    """The server answered something else than 200, or nothing at all."""


@dataclass(frozen=True)
class Answer:
    """Status, headers with lower-case names, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """One connection, for one thread."""

    def __init__(self, port: int, seconds: float = ANSWER_SECONDS, path: str = PATH) -> None:
        self._path = path
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        self.asked = 0.0  # time.perf_counter() just before the last request

    def send(self, body: bytes | Iterator[bytes], headers: Mapping[str, str] = HEADERS) -> Answer:
        """Post a body, in chunks where it comes in parts; raises OSError or HTTPException."""
        self.asked = time.perf_counter()
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, content)

    def post(self, body: bytes) -> list[dict[str, Any]]:
        """Return the predictions for a body of JSON Lines; raises AnswerError or OSError."""
        try:
            answer = self.send(body)
        except http.client.HTTPException as error:
            # RemoteDisconnected is one of both, and is a ConnectionError to who waits for a start.
            if isinstance(error, OSError):
                raise
            raise AnswerError(f"no HTTP: {error!r}") from error
        if answer.status != 200:
            raise AnswerError(f"the server answered {answer.status}: {answer.body[:300]!r}")
        return [json.loads(line) for line in answer.body.splitlines()]

    def seconds(self, body: bytes) -> float:
        """Return how long the answer to a body takes."""
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
                if not alive():
                    raise AnswerError("the server has ended; its own words are above") from None
                time.sleep(poll)
        raise AnswerError(f"no answer within {START_SECONDS:.0f} seconds")

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._connection.close()


class AsyncClient:
    """One connection among hundreds on one thread.

    A thread for each of 256 connections would take more of the CPU that the client has than the
    traffic itself.
    """

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._seconds = seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body; raises AnswerError when no answer comes, or only its beginning."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in {**HEADERS, **headers}.items())
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {len(body)}"
        try:
            async with asyncio.timeout(self._seconds):
                reader, writer = self._streams or await self._open()
                writer.write(head.encode() + b"\r\n\r\n" + body)
                answer = await _answer(reader)
        except (OSError, EOFError, ValueError, http.client.HTTPException) as error:
            self.close()
            raise AnswerError(type(error).__name__) from error
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    async def leave(self) -> bytes:
        """Close the connection; return the bytes that came without having been asked for."""
        if self._streams is None:
            return b""
        reader, writer = self._streams
        try:
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), LEAVE_SECONDS)
        except OSError:  # TimeoutError is one: the server keeps its side open, and says nothing
            return b""
        finally:
            self.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, _, fields = head.partition(b"\r\n")
    version, status = first.split()[:2]
    if version != b"HTTP/1.1":
        raise ValueError(f"no HTTP: {first!r}")
    parsed = http.client.parse_headers(io.BytesIO(fields))
    headers = {name.lower(): value for name, value in parsed.items()}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(status), headers, body)


def body(*texts: str) -> bytes:
    """Return texts as JSON Lines, one record each."""
    return b"".join(json.dumps({"features": [text]}).encode() + b"\n" for text in texts)
