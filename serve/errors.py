"""Name every error that a client can be told, with its status, and translate exceptions to them.

STATUS has the status of each, EXCEPTIONS what an exception of model_handler/errors.py becomes.

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
|- InternalError            a fault of ours; the log holds the cause under the same id
|- ModelUnavailable         the model could not be loaded
|- Overloaded               too much waits; try again after Retry-After seconds
|- DeadlineExceeded         the records could not be scored before the deadline

and of model_handler/errors.py

ModelError, ArtifactError, EngineError    ModelUnavailable
LogitError                                InternalError
TooManyError                              TooManyRecords
BusyError                                 Overloaded
DeadlineError, LateError                  DeadlineExceeded
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from model_handler.errors import (
    ArtifactError,
    BusyError,
    DeadlineError,
    EngineError,
    LateError,
    LogitError,
    ModelError,
    TooManyError,
)
from platform_facts import ORIGINAL_MESSAGE_CHARACTERS


class BadLine(NamedTuple):
    """A line that holds no record: its number in the body, counted from 1, and the reason."""

    number: int
    reason: str


class ServeError(Exception):
    """An error that a client is told of: a message, the lines it is about, and headers for it."""

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
    """A fault of ours; the log holds the cause under the same id."""


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

_NOT_LOADED = (ModelUnavailable, "the model could not be loaded: {error}")
_NOT_IN_TIME = (DeadlineExceeded, "not finished in time: {error}; send fewer records")
_OURS = (InternalError, "internal error {request_id}; the log says more under this id")

# Which error a client is told of for an exception, and in which words. For a class that is not here
# a class that it is derived from counts: BaseException in the end, for what nobody has foreseen.
EXCEPTIONS: dict[type, tuple[type[ServeError], str]] = {
    ModelError: _NOT_LOADED,
    ArtifactError: _NOT_LOADED,
    EngineError: _NOT_LOADED,
    LogitError: _OURS,
    DeadlineError: _NOT_IN_TIME,
    LateError: _NOT_IN_TIME,
    TooManyError: (
        TooManyRecords,
        "the records cannot be scored in time; about {error.fitting:,} of them can, so send no "
        "more than that in a request",
    ),
    BusyError: (Overloaded, "{error}; try again later"),
    BaseException: _OURS,
}


def from_exception(error: BaseException, request_id: str) -> ServeError:
    """Return the error that the client of this request is told of for any exception."""
    if isinstance(error, ServeError):
        return error
    kind, words = next(EXCEPTIONS[each] for each in type(error).__mro__ if each in EXCEPTIONS)
    message = words.format(error=error, request_id=request_id)
    return Overloaded(message, error.seconds) if isinstance(error, BusyError) else kind(message)


# How many characters of an error the message may have; words of a client in it are clipped before.
MESSAGE_CHARACTERS = 1000
# JSON may need this many characters for one of a text: an emoji is written \ud83d\ude00.
ESCAPE_CHARACTERS = 12
QUOTE_CHARACTERS = 100


def clip(words: str, most: int = QUOTE_CHARACTERS) -> str:
    """Cut words of a client, or a long message, to a length that can be passed on."""
    return words if len(words) <= most else words[: most - 3] + "..."


def _fitting(message: str) -> str:
    """Cut a message so that it takes no more than MESSAGE_CHARACTERS once it is JSON."""
    found = clip(message, MESSAGE_CHARACTERS)
    while (over := len(json.dumps(found)) - len('""') - MESSAGE_CHARACTERS) > 0:
        found = clip(message, len(found) - math.ceil(over / ESCAPE_CHARACTERS))
    return found


def render(error: ServeError) -> tuple[bytes, int]:
    """Return the JSON body and the status of an error.

    As many lines as fit are listed; `omitted` counts the rest.
    """
    status, code = STATUS[type(error)]
    body = {"error": _fitting(str(error)), "code": code, "lines": []}
    listed: list[dict[str, object]] = []
    room = ORIGINAL_MESSAGE_CHARACTERS - len(json.dumps(body)) - len(', "omitted": 1234567890\n')
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
    """Return a whole HTTP response that tells an error, where there is no Flask to make one."""
    body, status = render(error)
    head = (
        f"HTTP/1.1 {status} {type(error).__name__}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def too_large() -> PayloadTooLarge:
    """Return the error for a body over the limit, in the same words wherever that is noticed."""
    return PayloadTooLarge(
        "the body is larger than MAX_PAYLOAD_MB allows; send fewer records in a request"
    )


def bad_lines(lines: Sequence[BadLine], total: int) -> BadRequest:
    """Return one error for all bad lines of a body of `total` records."""
    first = lines[0]
    return BadRequest(
        f"{len(lines):,} of {total:,} records cannot be read, so none was scored; "
        f"line {first.number}: {first.reason}",
        lines,
    )
