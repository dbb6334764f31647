"""Everything a client can be told went wrong, and the one table of statuses.

ServeError
|- BadRequest               records that cannot be read; every bad line is listed
|- NotFound                 no such path
|- MethodNotAllowed         the path takes other methods
|- NotAcceptable            none of the types in Accept is offered
|- RequestTimeout           the body did not arrive in time
|- PayloadTooLarge          the body is over MAX_PAYLOAD_MB
|- TooManyRecords           more records than can be scored before the deadline
|- TargetTooLong            the path is longer than any
|- UnsupportedMediaType     Content-Type or Content-Encoding is none that can be read
|- HeadersTooLarge          more or longer headers than are read
|- InternalError            ours; the log holds the cause under the same id
|- ModelUnavailable         the model could not be loaded
|- Overloaded               too much waits; try again after Retry-After seconds
|- DeadlineExceeded         the records could not be scored before the deadline
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that holds no record: its number in the body, counted from 1, and the reason."""

    number: int
    reason: str


class ServeError(Exception):
    """An error a client is told about: a message, the lines it is about, headers to go with it."""

    def __init__(
        self,
        message: str,
        lines: Sequence[BadLine] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.lines = lines
        self.headers = headers or {}


class BadRequest(ServeError):
    """Records that cannot be read; every bad line is listed."""


class NotFound(ServeError):
    """No such path."""


class MethodNotAllowed(ServeError):
    """The path takes other methods."""


class NotAcceptable(ServeError):
    """None of the types in Accept is offered."""


class RequestTimeout(ServeError):
    """The body did not arrive in time."""


class PayloadTooLarge(ServeError):
    """The body is over MAX_PAYLOAD_MB."""


class TooManyRecords(ServeError):
    """More records than can be scored before the deadline."""


class TargetTooLong(ServeError):
    """The path is longer than any."""


class UnsupportedMediaType(ServeError):
    """Content-Type or Content-Encoding is none that can be read."""


class HeadersTooLarge(ServeError):
    """More or longer headers than are read."""


class InternalError(ServeError):
    """Ours; the log holds the cause under the same id."""


class ModelUnavailable(ServeError):
    """The model could not be loaded."""


class Overloaded(ServeError):
    """Too much waits; try again after Retry-After seconds."""

    def __init__(self, message: str, seconds: float = 1.0) -> None:
        super().__init__(message, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


class DeadlineExceeded(ServeError):
    """The records could not be scored before the deadline."""


STATUS: dict[type[ServeError], tuple[int, str]] = {
    BadRequest: (400, "bad_request"),
    NotFound: (404, "not_found"),
    MethodNotAllowed: (405, "method_not_allowed"),
    NotAcceptable: (406, "not_acceptable"),
    RequestTimeout: (408, "request_timeout"),
    PayloadTooLarge: (413, "payload_too_large"),
    TooManyRecords: (413, "too_many_records"),
    TargetTooLong: (414, "target_too_long"),
    UnsupportedMediaType: (415, "unsupported_media_type"),
    HeadersTooLarge: (431, "headers_too_large"),
    InternalError: (500, "internal_error"),
    ModelUnavailable: (503, "model_unavailable"),
    Overloaded: (503, "overloaded"),
    DeadlineExceeded: (504, "deadline_exceeded"),
}

# What InvokeEndpoint passes on of an error, as OriginalMessage:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
MOST_CHARACTERS = 2048
# Of these, the message; whoever puts words of a client into it clips them.
MESSAGE_CHARACTERS = 1000
# As many of JSON's may stand for one of a text: an emoji is written \ud83d\ude00.
ESCAPE_CHARACTERS = 12
QUOTE_CHARACTERS = 100


def clip(words: str, most: int = QUOTE_CHARACTERS) -> str:
    """Words of a client, or a long message, cut to a length that can be passed on."""
    return words if len(words) <= most else words[: most - 3] + "..."


def _fitting(message: str) -> str:
    """As much of a message as takes no more than MESSAGE_CHARACTERS once it is JSON."""
    found = clip(message, MESSAGE_CHARACTERS)
    while (over := len(json.dumps(found)) - len('""') - MESSAGE_CHARACTERS) > 0:
        found = clip(message, len(found) - math.ceil(over / ESCAPE_CHARACTERS))
    return found


def render(error: ServeError) -> tuple[bytes, int]:
    """The JSON body and the status of an error.

    As many lines as fit are listed; `omitted` counts the rest.
    """
    status, code = STATUS[type(error)]
    body = {"error": _fitting(str(error)), "code": code, "lines": []}
    listed: list[dict[str, object]] = []
    room = MOST_CHARACTERS - len(json.dumps(body)) - len(', "omitted": 1234567890\n')
    for line in error.lines:
        entry = {"line": line.number, "error": line.reason}
        room -= len(json.dumps(entry)) + len(", ")
        if room < 0:
            break
        listed.append(entry)
    omitted = len(error.lines) - len(listed)
    found = {**body, "lines": listed, **({"omitted": omitted} if omitted else {})}
    return json.dumps(found).encode() + b"\n", status


def response(error: ServeError) -> bytes:
    """A whole HTTP response that tells an error, where there is no Flask to make one."""
    body, status = render(error)
    head = (
        f"HTTP/1.1 {status} {type(error).__name__}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def too_large() -> PayloadTooLarge:
    """One error for a body over the limit, wherever that is noticed."""
    return PayloadTooLarge(
        "the body is larger than MAX_PAYLOAD_MB allows; send fewer records in a request"
    )


def bad_lines(lines: Sequence[BadLine], total: int) -> BadRequest:
    """One error for all bad lines of a body of `total` records."""
    first = lines[0]
    return BadRequest(
        f"{len(lines):,} of {total:,} records cannot be read, so none was scored; "
        f"line {first.number}: {first.reason}",
        lines,
    )
