"""Everything a client can be told went wrong, and the one table of statuses.

ServeError
|- BadRequest               records that cannot be read; every bad line is listed
|- NotFound                 no such path
|- MethodNotAllowed         the path takes other methods
|- NotAcceptable            none of the types in Accept is offered
|- PayloadTooLarge          the body is over MAX_PAYLOAD_MB
|- UnsupportedMediaType     Content-Type is none that can be read
|- ModelUnavailable         the model could not be loaded
|- InternalError            ours; the log holds the cause under the same id
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no record: its number in the body, counted from 1, and the reason."""

    number: int
    reason: str


class ServeError(Exception):
    """An error a client is told about: a message, and the lines it is about."""

    def __init__(self, message: str, lines: Sequence[BadLine] = ()) -> None:
        super().__init__(message)
        self.lines = lines


class BadRequest(ServeError):
    """Records that cannot be read; every bad line is listed."""


class NotFound(ServeError):
    """No such path."""


class MethodNotAllowed(ServeError):
    """The path takes other methods."""


class NotAcceptable(ServeError):
    """None of the types in Accept is offered."""


class PayloadTooLarge(ServeError):
    """The body is over MAX_PAYLOAD_MB."""


class UnsupportedMediaType(ServeError):
    """Content-Type is none that can be read."""


class ModelUnavailable(ServeError):
    """The model could not be loaded."""


class InternalError(ServeError):
    """Ours; the log holds the cause under the same id."""


STATUS: dict[type[ServeError], tuple[int, str]] = {
    BadRequest: (400, "bad_request"),
    NotFound: (404, "not_found"),
    MethodNotAllowed: (405, "method_not_allowed"),
    NotAcceptable: (406, "not_acceptable"),
    PayloadTooLarge: (413, "payload_too_large"),
    UnsupportedMediaType: (415, "unsupported_media_type"),
    InternalError: (500, "internal_error"),
    ModelUnavailable: (503, "model_unavailable"),
}


def render(error: ServeError) -> tuple[bytes, int]:
    """The JSON body and the status of an error."""
    status, code = STATUS[type(error)]
    lines = [{"line": line.number, "error": line.reason} for line in error.lines]
    body = {"error": str(error), "code": code, "lines": lines}
    return json.dumps(body).encode() + b"\n", status


def bad_lines(lines: Sequence[BadLine], total: int) -> BadRequest:
    """One error for all bad lines of a body of `total` records."""
    first = lines[0]
    return BadRequest(
        f"{len(lines)} of {total} records cannot be read, so none was scored; "
        f"line {first.number}: {first.reason}",
        lines,
    )
