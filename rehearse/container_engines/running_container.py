"""Talk to a running container, whatever runs it: send it requests, log its lines, end it."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

# Status, headers (whatever their case) and body.
HttpAnswer = tuple[int, Mapping[str, str], bytes]

# urllib3 adds these; the platform's own are not known, and a container must not depend on them.
NO_OWN_HEADERS = {
    "User-Agent": urllib3.util.SKIP_HEADER,
    "Accept-Encoding": urllib3.util.SKIP_HEADER,
}
READ_BYTES = 256 * 1024
# An instance may have more requests under way; the connections of those are closed afterwards.
KEPT_CONNECTIONS = 32
LOG_READER_SECONDS = 5.0
POLL_SECONDS = 0.02
# CloudWatch Logs cuts an event here (256 KB), and so is a line that does not end:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
LONGEST_LINE = 256 * 1024


class RunningContainer(ABC):
    """One running container; each engine has a class of its own below this one.

    Such a class starts the thread `_log_reader`, which logs what the container writes.
    """

    _log_reader: threading.Thread

    def __init__(self, port: int) -> None:
        self.port = port
        self._http = HttpClient(port)
        self._lock = threading.Lock()
        self._at_once = threading.Event()
        self._stopped = False
        self._to_be_frozen = self._frozen = False

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> HttpAnswer:
        """Send a request; raise TimeoutError after so many seconds, OSError if it has ended."""
        return self._http.request(method, path, body, headers, seconds)

    @abstractmethod
    def memory_bytes(self) -> int | None:
        """Return the bytes in use now, or None if that cannot be told. May take a while."""

    @abstractmethod
    def out_of_memory(self, since: float) -> bool:
        """Return whether it has lost a process for want of memory since then (time.time()).

        May take a while.
        """

    @abstractmethod
    def alive(self) -> bool:
        """Return at once whether it still runs."""

    def freeze(self) -> None:
        """Let none of its processes run until `thaw`; return at once, as this may take a while."""
        self._to_be_frozen = True
        threading.Thread(target=self._freeze_now, name="freeze", daemon=True).start()

    def _freeze_now(self) -> None:
        with self._lock:
            if self._to_be_frozen and not self._frozen and not self._stopped:
                self._frozen = True
                self._suspend()
                # It may close a connection that was idle for long as soon as it runs again.
                self._http.close()
                self._http = HttpClient(self.port)

    def thaw(self) -> None:
        """Let its processes run again, if they do not."""
        self._to_be_frozen = False
        with self._lock:
            if self._frozen and not self._stopped:
                self._resume()
                self._frozen = False

    def stop(self, seconds: float = 0.0) -> None:
        """Send SIGTERM, and SIGKILL after so many seconds.

        It may be called twice; a call without seconds ends the time that another has given.
        """
        if not seconds:
            self._at_once.set()
        with self._lock:
            if self._stopped:  # by now its number may be another's
                return
            self._stopped = True
            if seconds and self.alive():
                if self._frozen:
                    self._resume()
                self._terminate()
            deadline = time.monotonic() + seconds
            while self.alive() and time.monotonic() < deadline:
                if self._at_once.wait(POLL_SECONDS):
                    break
            self._remove()
            self._log_reader.join(LOG_READER_SECONDS)
            self._http.close()

    @abstractmethod
    def _suspend(self) -> None:
        """Let none of its processes run; the container may just have ended."""

    @abstractmethod
    def _resume(self) -> None:
        """Let its processes run again; the container may have ended."""

    @abstractmethod
    def _terminate(self) -> None:
        """Send SIGTERM; the container may just have ended."""

    @abstractmethod
    def _remove(self) -> None:
        """End it now, and leave nothing of it."""


class HttpClient:
    """Sends HTTP requests to a port of this machine, for any number of threads."""

    def __init__(self, port: int) -> None:
        self._pool = urllib3.HTTPConnectionPool(
            "127.0.0.1", port, maxsize=KEPT_CONNECTIONS, retries=False
        )

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> HttpAnswer:
        """Send a request; raise TimeoutError, or ConnectionError if no whole answer comes."""
        deadline = time.monotonic() + seconds
        try:
            response = self._pool.urlopen(
                method,
                path,
                body=body or None,
                headers={**NO_OWN_HEADERS, **headers},
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
            # A refused connection is one of urllib3's TimeoutErrors, too.
            if isinstance(error, ReadTimeoutError):
                raise TimeoutError(str(error)) from error
            raise ConnectionError(str(error)) from error
        except HTTPError as error:
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        """Close the connections that are open and unused."""
        self._pool.close()


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """Read the whole body, or raise TimeoutError at the deadline.

    The timeout of a socket begins anew with every byte, so it is set to what is left each time.
    """
    parts: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer was begun, and not ended in time")
        # A connection that will be closed is no longer known; its timeout stays as it is.
        if open_socket := getattr(response.connection, "sock", None):
            open_socket.settimeout(left)
        if not (part := response.read1(READ_BYTES, decode_content=False)):
            return b"".join(parts)
        parts.append(part)


class LogLines:
    """Cuts one output stream of a container into lines, and logs each."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._rest = b""

    def feed(self, part: bytes) -> None:
        """Take a piece, which may begin and end anywhere, and log every line that it ends."""
        *whole, self._rest = (self._rest + part).split(b"\n")
        for line in whole:
            self._write(line)
        while len(self._rest) > LONGEST_LINE:
            self._write(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]

    def end(self) -> None:
        """Log what no newline has ended."""
        if self._rest:
            self._write(self._rest)
        self._rest = b""

    def _write(self, line: bytes) -> None:
        self._log(line.decode(errors="replace").rstrip("\r"))
