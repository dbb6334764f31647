"""Sockets in, ended one way or the other; whoever is at the other end."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

# A connection that is about to be closed is kept open so long for what its client still sends.
PART_SECONDS = 2.0
PIECE = 65536


def part(client: socket.socket) -> None:
    """Wait for a client to have read its answer; gunicorn would do so in its main thread.

    https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    """
    deadline = time.monotonic() + PART_SECONDS
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        client.settimeout(PART_SECONDS)
        while time.monotonic() < deadline and client.recv(PIECE):
            pass
    shut(client, socket.SHUT_RDWR)


def shut(client: socket.socket, how: int) -> None:
    """End one direction, or both; who waits on it in another thread is woken."""
    with suppress(OSError):  # it is closed already
        client.shutdown(how)
