"""Keep what a client has sent until a head or a body is whole, so that no thread waits for it.

Nothing is decided here about what the bytes mean: gunicorn's parser reads all of them afterwards.
"""

from __future__ import annotations

import socket
import struct

from platform_facts import MEGABYTE
from serve.errors import HeadersTooLarge

# A longer head is refused. AWS's load balancers pass on no longer one:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
HEAD_BYTES = 64 * 1024
HEAD_PIECE = 16 * 1024
# A thread waits this long for a piece of a body; most come right after their heads.
PATIENCE_SECONDS = 0.05
# Each receive lets other threads run, and may wait for its turn afterwards: few and large ones.
BODY_PIECE = MEGABYTE
# The line with the size of a chunk, and the fields after the last chunk.
CHUNK_LINE_BYTES = 8 * 1024


class ReceiveBuffer:
    """The bytes that a client has sent and the parser has not read; for one thread at a time."""

    def __init__(self, client: socket.socket, payload: int) -> None:
        """Receive from `client` bodies of up to `payload` bytes."""
        self.ended = False  # the client sends no more
        self.missing = 0  # bytes of the body that have not come; of chunks, 1 until the last came
        self.too_large = False  # the body, of chunks
        self._client = client
        self._payload = payload
        self._bytes = bytearray()
        self._pieces: list[bytes] = []  # of a body, behind that: what a thread has waited for
        self._searched = 0
        self._head_too_long = False
        self._chunked = False
        self._chunk_bytes = 0
        timeval = struct.pack("ll", 0, int(PATIENCE_SECONDS * 1_000_000))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    def __len__(self) -> int:
        return len(self._bytes) + sum(map(len, self._pieces))

    def fill(self, wait: bool = False) -> bool:
        """Receive what is there and return whether that was anything.

        A thread may `wait`, and is told whether all it waited for came within PATIENCE_SECONDS.
        """
        size, flags = HEAD_PIECE, int(socket.MSG_DONTWAIT)
        if self.missing:
            size = BODY_PIECE if self._chunked else min(self.missing, BODY_PIECE)
        if wait:
            flags = 0 if self._chunked else socket.MSG_WAITALL
        try:
            piece = self._client.recv(size, flags)
        except BlockingIOError:
            return False
        except OSError:  # the connection was reset
            piece = b""
        self.ended = not piece
        if wait and not self._chunked:
            self._pieces.append(piece)
        else:
            self._join()
            self._bytes += piece
        if self.missing:
            self._count(len(piece))
        return len(piece) == size if wait else bool(piece)

    def discard(self) -> None:
        """Receive what is there, and drop all that has come."""
        self.fill()
        self._bytes.clear()
        self._pieces.clear()

    def has_head(self) -> bool:
        """Return whether a head is whole, or is one that the parser refuses already.

        Such a one is too long, or a line of it ends with a line feed alone.
        """
        begin, self._searched = self._searched, len(self)
        if self._bytes.find(b"\r\n\r\n", max(0, begin - len(b"\r\n\r"))) >= 0:
            return True
        self._head_too_long = len(self) > HEAD_BYTES
        ends = self._bytes.count(b"\r\n", max(0, begin - len(b"\r")))
        return self._head_too_long or self._bytes.count(b"\n", begin) > ends

    def expect_head(self, rest: bytes) -> None:
        """Begin with the next request; the parser had read `rest` of it already."""
        self._bytes[:0] = rest
        self._searched = self.missing = 0

    def expect_body(self, length: int | None, rest: bytes) -> None:
        """Begin a body of `length` bytes, or of chunks; the parser had read `rest` already."""
        self._bytes[:0] = rest
        self._searched = self._chunk_bytes = 0
        self._chunked = length is None
        self.missing = 1 if length is None else length
        if self.missing:
            self._count(len(self))

    def has_body(self) -> bool:
        """Return whether a body is whole, or will never be."""
        return self.ended or self.too_large or not self.missing

    def _count(self, size: int) -> None:
        if not self._chunked:
            self.missing = max(0, self.missing - size)
        elif self._has_last_chunk():
            self.missing = 0
        else:
            # The sizes of chunks must not take more room than what is in them.
            self.too_large = max(self._chunk_bytes, len(self) // 2) > self._payload

    def _has_last_chunk(self) -> bool:
        """Return whether the last chunk is there, or one that the parser refuses already.

        https://www.rfc-editor.org/rfc/rfc9112#section-7.1
        """
        while (end := self._bytes.find(b"\r\n", self._searched)) >= 0:
            digits = self._bytes[self._searched : end].partition(b";")[0]
            try:
                size = int(digits, 16)
            except ValueError:
                return True
            if size <= 0:
                trailers = len(self) - end
                return self._bytes.find(b"\r\n\r\n", end) >= 0 or trailers > CHUNK_LINE_BYTES
            self._searched = end + size + 2 * len(b"\r\n")
            self._chunk_bytes += size
        return len(self) - self._searched > CHUNK_LINE_BYTES

    def recv(self, size: int) -> bytes:
        """Give the parser the next bytes, as a socket would; b"" after the last that has come."""
        if not self and self._head_too_long:
            raise HeadersTooLarge(f"the headers are longer than {HEAD_BYTES:,} bytes")
        self._join()
        return self._cut(size)

    def take_body(self, length: int) -> bytes:
        """Return a whole body of this length, which the parser would copy several times."""
        body = b"".join((self._cut(length), *self._pieces))
        self._pieces.clear()
        return body

    def _cut(self, size: int) -> bytes:
        with memoryview(self._bytes) as view:
            piece = bytes(view[:size])
        del self._bytes[:size]
        return piece

    def _join(self) -> None:
        if self._pieces:
            self._bytes += b"".join(self._pieces)
            self._pieces.clear()
