"""Answer any exception in JSON; what is not a client's fault goes to the log, with an id."""

from __future__ import annotations

import logging

from flask import Response, g
from werkzeug import exceptions

from model_handler import BusyError, LateError, ModelError, TooManyError
from serve import errors, wire

log = logging.getLogger(__name__)


def answer(error: Exception) -> Response:
    """Any exception as an answer."""
    known = _known(error)
    if known is None:
        identity = g.account.request_id if "account" in g else "ping"
        # Only where it went wrong: a message may quote the text of a record.
        log.error("internal error %s: %s", identity, _trace(error))
        known = errors.InternalError(f"internal error {identity}; the log says more under this id")
    if "account" in g:
        g.account.code = errors.STATUS[type(known)][1]
    body, status = errors.render(known)
    return Response(body, status=status, content_type=wire.JSON, headers=dict(known.headers))


def _known(error: Exception) -> errors.ServeError | None:
    """The error a client is told about; None for a fault of ours."""
    if isinstance(error, errors.ServeError):
        return error
    if isinstance(error, exceptions.HTTPException):
        return _from_werkzeug(error)
    if isinstance(error, ModelError):
        return errors.ModelUnavailable(f"the model could not be loaded: {error}")
    if isinstance(error, TooManyError):
        return errors.TooManyRecords(
            f"the records cannot be scored in time; about {error.fitting:,} of them can, so send "
            "no more than that in a request"
        )
    if isinstance(error, BusyError):
        return errors.Overloaded(f"{error}; try again later", error.seconds)
    if isinstance(error, LateError):
        return errors.DeadlineExceeded(f"not finished in time: {error}; send fewer records")
    return None


def _from_werkzeug(error: exceptions.HTTPException) -> errors.ServeError | None:
    if isinstance(error, exceptions.RequestEntityTooLarge):
        return errors.too_large()
    if isinstance(error, exceptions.NotFound):
        return errors.NotFound("no such path; POST /invocations or GET /ping")
    if isinstance(error, exceptions.MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return errors.MethodNotAllowed(f"use {allowed} here", headers={"Allow": allowed})
    if error.code is not None and error.code < 500:
        return errors.BadRequest("the request is not valid HTTP")
    return None


def _trace(error: Exception) -> str:
    """Type and stack of an exception, without its message."""
    import traceback

    stack = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}\n{stack}"
