"""READ THIS FIRST: requests in, responses out. GET /ping and POST /invocations.

The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import logging

from flask import Flask, Response, request
from werkzeug import exceptions

from model_handler import Handler, ModelError, State, limits
from serve import errors, wire
from serve.settings import Settings

log = logging.getLogger(__name__)

# The platform waits two seconds for a ping; half of that is left for everything else.
PING_PATIENCE_SECONDS = 1.0


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application; the model begins to load as `settings.model_load` says.

    Settings default to the environment's. Raises ModelError if an eager load fails.
    """
    settings = settings or Settings.from_environment()
    handler = Handler(settings.model_dir, limits.read(settings.cpu_threads, settings.memory_mb))
    app = Flask("serve", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_payload_mb * 1024 * 1024

    @app.get("/ping")
    def ping() -> Response:
        state = handler.wait(PING_PATIENCE_SECONDS)
        if state is State.FAILED:
            raise errors.ModelUnavailable(f"the model could not be loaded: {handler.failure}")
        if state is not State.READY and settings.ping_ready == "strict":
            raise errors.ModelUnavailable(f"the model is not ready: {state.value}")
        return Response(status=200)

    @app.post("/invocations")
    def invocations() -> Response:
        media_type = _acceptable()
        body = wire.read(request.get_data(cache=False), request.mimetype)
        bad = [record for record in body.records if isinstance(record, errors.BadLine)]
        if bad and not _reports_bad_records(settings):
            raise errors.bad_lines(bad, len(body.records))
        outcomes = score(handler, body.records)
        return Response(wire.write(outcomes, media_type, body.single), content_type=media_type)

    app.register_error_handler(Exception, _answer)
    if settings.model_load == "eager":
        handler.load()
    elif settings.model_load == "background":
        handler.start()
    return app


def score(handler: Handler, records: list[wire.Record | errors.BadLine]) -> list[wire.Outcome]:
    """One outcome for each record, in order; a bad line is its own outcome."""
    texts = [record.text for record in records if isinstance(record, wire.Record)]
    try:
        predictions = iter(handler.predict(texts))
    except ModelError as error:
        raise errors.ModelUnavailable(f"the model could not be loaded: {error}") from error
    return [next(predictions) if isinstance(record, wire.Record) else record for record in records]


def _acceptable() -> str:
    """The media type to answer in: JSON Lines unless Accept asks for something else on offer."""
    offered = (*wire.LINE_TYPES, wire.JSON)
    accept = request.accept_mimetypes
    chosen = accept.best_match(offered) if accept else wire.JSON_LINES
    if chosen is None:
        raise errors.NotAcceptable(f"Accept {accept} is not offered; ask for {', '.join(offered)}")
    return chosen


def _reports_bad_records(settings: Settings) -> bool:
    """Whether bad lines are answered in place: by the environment or the request's attributes."""
    attributes = request.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
    wishes = {wish.strip() for wish in attributes.split(",")}
    return settings.on_bad_record == "report" or "on-bad-record=report" in wishes


def _answer(error: Exception) -> Response:
    """Any exception as a JSON answer; what is not a client's fault goes to the log, with an id."""
    if isinstance(error, exceptions.HTTPException):
        error = _translate(error)
    if not isinstance(error, errors.ServeError):
        import uuid

        identity = uuid.uuid4().hex
        # Only where it went wrong: a message may quote the text of a record.
        log.error("internal error %s: %s", identity, _trace(error))
        error = errors.InternalError(f"internal error {identity}; the log says more under this id")
    body, status = errors.render(error)
    return Response(body, status=status, content_type=wire.JSON)


def _translate(error: exceptions.HTTPException) -> Exception:
    """Werkzeug's own errors as ours."""
    if isinstance(error, exceptions.RequestEntityTooLarge):
        return errors.PayloadTooLarge(
            "the body is larger than MAX_PAYLOAD_MB allows; send fewer records in a request"
        )
    if isinstance(error, exceptions.NotFound):
        return errors.NotFound("no such path; POST /invocations or GET /ping")
    if isinstance(error, exceptions.MethodNotAllowed):
        return errors.MethodNotAllowed("use POST /invocations or GET /ping")
    if error.code == 400:
        return errors.BadRequest("the request is not valid HTTP")
    return error


def _trace(error: Exception) -> str:
    """Type and stack of an exception, without its message."""
    import traceback

    stack = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}\n{stack}"
