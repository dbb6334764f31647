"""Ask questions over one keep-alive connection among hundreds, all on one thread.

benchmarks/harness/client.py takes a thread for each connection; 256 of those would take more of the
CPU that the client has than the traffic itself.
"""

from __future__ import annotations

import asyncio
import http.client
import io
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.harness.client import HEADERS
from benchmarks.soak.known_answers import INFERENCE_ID, Question

# The server gives up after 55 seconds, and SageMaker after 60.
ANSWER_SECONDS = 90.0
LEAVE_SECONDS = 5.0
FIXED = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())


class LostError(Exception):
    """A question got no answer, or only the beginning of one."""


@dataclass(frozen=True)
class Answer:
    """Status, headers with lower-case names, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """Opened by the first question, and again after the server has said that it closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, question: Question) -> Answer:
        """Send a question and read its answer; raises LostError."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = self._streams or await self._open()
                writer.write(_request(question))
                answer = await _response(reader)
        except (OSError, EOFError, ValueError, http.client.HTTPException) as error:
            self._close()
            raise LostError(type(error).__name__) from error
        if answer.headers.get("connection", "").lower() == "close":
            self._close()
        return answer

    async def leave(self) -> bytes:
        """Close the connection; gives the bytes that came without having been asked for."""
        if self._streams is None:
            return b""
        reader, writer = self._streams
        try:
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), LEAVE_SECONDS)
        except OSError:  # TimeoutError is one: the server keeps its side open, and says nothing
            return b""
        finally:
            self._close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _request(question: Question) -> bytes:
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: localhost\r\n{FIXED}"
        f"{INFERENCE_ID}: {question.mark}\r\nContent-Length: {len(question.body)}\r\n\r\n"
    )
    return head.encode() + question.body


async def _response(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, _, fields = head.partition(b"\r\n")
    version, status = first.split()[:2]
    if version != b"HTTP/1.1":
        raise ValueError(f"no HTTP: {first!r}")
    parsed = http.client.parse_headers(io.BytesIO(fields))
    headers = {name.lower(): value for name, value in parsed.items()}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(status), headers, body)
