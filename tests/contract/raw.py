"""Send requests that no HTTP library would send, byte by byte if need be, and read the answers."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.contract.targets import Answer


class Raw:
    """A connection that sends what it is given."""

    def __init__(self, port: int, seconds: float = 60) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        self._file = self.socket.makefile("rb")
        self._fields: dict[str, str] = {}  # of the last answer

    def send(self, *parts: bytes) -> None:
        """Send bytes, unless the server has closed the connection: its answer tells why."""
        with suppress(ConnectionError):
            for part in parts:
                self.socket.sendall(part)

    def end(self) -> None:
        """Tell the server that nothing more will come, and still read."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def status(self) -> int | None:
        """Read the next answer up to its body, and return its status; None if there is none."""
        with suppress(ConnectionResetError):
            if line := self._file.readline():
                found = http.client.parse_headers(self._file).items()
                self._fields = {name.lower(): value for name, value in found}
                return int(line.split()[1])
        return None

    def answer(self, method: str = "POST") -> Answer | None:
        """Read the next answer, to a request of this method; None if the connection was closed."""
        status = self.status()
        if status is None:
            return None
        length = 0 if method == "HEAD" else int(self._fields["content-length"])
        return Answer(status, self._fields, self._file.read(length))

    def answers(self) -> list[Answer]:
        """Read all answers until the server closes the connection."""
        return list(iter(self.answer, None))

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self.socket.close()


@contextmanager
def connect(port: int, count: int = 1) -> Iterator[list[Raw]]:
    """Open connections, and close them afterwards."""
    connections = [Raw(port) for _ in range(count)]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def exchange(port: int, *parts: bytes) -> list[Answer]:
    """Send bytes and nothing after them, and return all answers."""
    with connect(port) as [connection]:
        connection.send(*parts)
        connection.end()
        return connection.answers()


def head(path: str = "/invocations", method: str = "POST", *fields: str) -> bytes:
    """Make the head of a request, with these header fields."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: test", *fields, "", ""]).encode(
        "latin-1"
    )


def request(body: bytes, *fields: str, path: str = "/invocations") -> bytes:
    """Make a whole request with a body."""
    return head(path, "POST", f"Content-Length: {len(body)}", *fields) + body


def chunks(*parts: bytes) -> bytes:
    """Make a chunked body.

    https://www.rfc-editor.org/rfc/rfc9112#section-7.1
    """
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
