"""Answer any exception with an error in JSON; log a fault of ours, with the id that its client has.

Which exception is which error: serve/errors.py.
"""

from __future__ import annotations

import logging

from flask import Response, g
from werkzeug import exceptions

from serve import errors, wire

log = logging.getLogger(__name__)


def answer(error: Exception) -> Response:
    """Make the answer to a request that has raised this."""
    summary = g.get("summary")  # a ping has none
    request_id = "ping" if summary is None else summary.request_id
    told = _from_werkzeug(error) or errors.from_exception(error, request_id)
    if isinstance(told, errors.InternalError) and told is not error:
        # Only where it went wrong: a message may quote the text of a record.
        log.error("internal error %s: %s", request_id, _stack(error))
    if summary is not None:
        summary.code = errors.STATUS[type(told)][1]
    body, status = errors.render(told)
    return Response(body, status=status, content_type=wire.JSON, headers=dict(told.headers))


def _from_werkzeug(error: Exception) -> errors.ServeError | None:
    """Translate what Flask and Werkzeug raise for a request; None for all other exceptions."""
    if isinstance(error, exceptions.RequestEntityTooLarge):
        return errors.too_large()
    if isinstance(error, exceptions.NotFound):
        return errors.NotFound("no such path; POST /invocations or GET /ping")
    if isinstance(error, exceptions.MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return errors.MethodNotAllowed(f"use {allowed} here", headers={"Allow": allowed})
    if isinstance(error, exceptions.HTTPException) and (error.code or 500) < 500:
        return errors.BadRequest("the request is not valid HTTP")
    return None


def _stack(error: Exception) -> str:
    """Return the type and stack of an exception, without its message."""
    import traceback

    stack = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}\n{stack}"
