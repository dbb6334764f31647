"""A port of this machine in, answers to requests out, over connections that are kept open."""

from __future__ import annotations

import time
from collections.abc import Mapping

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from rehearse.engines import Answer

# urllib3 adds these; the platform's own are not known, and a container must not depend on them.
SILENT = {
    "User-Agent": urllib3.util.SKIP_HEADER,
    "Accept-Encoding": urllib3.util.SKIP_HEADER,
}
CHUNK = 256 * 1024
# So many connections are kept; an instance may have more under way, which are then closed.
KEPT = 32


class Http:
    """A client of one container, for any number of threads."""

    def __init__(self, port: int) -> None:
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=KEPT, retries=False)

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> Answer:
        """Raises TimeoutError, or ConnectionError if there is no whole answer."""
        deadline = time.monotonic() + seconds
        try:
            response = self._pool.urlopen(
                method,
                path,
                body=body or None,
                headers={**SILENT, **headers},
                timeout=urllib3.Timeout(total=seconds),
                redirect=False,
                preload_content=False,
            )
            try:
                return response.status, response.headers, _read(response, deadline)
            except BaseException:
                response.close()
                raise
        except Urllib3TimeoutError as error:
            # A connection that is refused is one of these, too, by its name.
            if isinstance(error, ReadTimeoutError):
                raise TimeoutError(str(error)) from error
            raise ConnectionError(str(error)) from error
        except HTTPError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Close what is open and unused."""
        self._pool.close()


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """The whole body. A socket's timeout begins anew with every byte, so it gets what is left."""
    parts: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer was begun, and not ended in time")
        # A connection that will be closed is no longer known; its timeout stays as it is.
        if open_socket := getattr(response.connection, "sock", None):
            open_socket.settimeout(left)
        if not (part := response.read1(CHUNK, decode_content=False)):
            return b"".join(parts)
        parts.append(part)
