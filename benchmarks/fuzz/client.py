"""A port and cases in, answers out: one kept connection that sends whatever it is given."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

from benchmarks.fuzz.cases import Case
from benchmarks.fuzz.verdict import Answer

# The server gives up after 55, and may take some more to read and to write.
ANSWER_SECONDS = 90.0


class Client:
    """Sends one case after the other."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)

    def send(self, case: Case) -> Answer:
        """The answer to a case; raises OSError or HTTPException when there is none."""
        body = _chunks(case.body) if case.chunked else case.body
        try:
            self._connection.request(
                "POST", "/invocations", body, dict(case.headers), encode_chunked=case.chunked
            )
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, content)

    def close(self) -> None:
        """Close the connection; the next case opens a new one."""
        self._connection.close()


def _chunks(body: bytes) -> Iterator[bytes]:
    """Two, of different sizes."""
    for part in (body[: len(body) // 3], body[len(body) // 3 :]):
        if part:  # an empty one would end the body
            yield part
