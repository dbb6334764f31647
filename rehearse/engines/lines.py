"""Pieces of an output in, its lines out: pieces begin and end anywhere."""

from __future__ import annotations

from collections.abc import Callable

# A line without an end is cut here, as CloudWatch Logs cuts an event (256 KB):
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
LONGEST = 256 * 1024


class Lines:
    """One stream of a container."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._rest = b""

    def feed(self, part: bytes) -> None:
        """Log every line that a piece ends."""
        *whole, self._rest = (self._rest + part).split(b"\n")
        for line in whole:
            self._write(line)
        while len(self._rest) > LONGEST:
            self._write(self._rest[:LONGEST])
            self._rest = self._rest[LONGEST:]

    def end(self) -> None:
        """Log what no newline has ended."""
        if self._rest:
            self._write(self._rest)
        self._rest = b""

    def _write(self, line: bytes) -> None:
        self._log(line.decode(errors="replace").rstrip("\r"))
