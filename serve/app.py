"""READ THIS FIRST: requests in, responses out. /ping, /invocations, /execution-parameters.

The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
and, for Batch Transform, https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from model_handler import Handler, Scored, State, artifacts, limits
from serve import errors, faults, negotiation, wire
from serve.admission import Admission
from serve.records import Outcome, Record
from serve.settings import LARGEST_PAYLOAD_MB, Settings
from serve.telemetry import Account, Telemetry

if TYPE_CHECKING:
    from serve.user_code import UserCode

# The platform waits two seconds for a ping; half of that is left for everything else.
PING_PATIENCE_SECONDS = 1.0
MEGABYTE = 1024 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application; the model begins to load as `settings.model_load` says.

    Settings default to the environment's. Raises ModelError if an eager load fails.
    """
    settings = settings or Settings.from_environment()
    found = limits.read(settings.cpu_threads, settings.memory_mb)
    opened = partial(artifacts.open_model, runs_code=bool(settings.program))
    model = Handler(settings.model_dir, found, opened)
    code = _user_code(settings, found, model) if settings.program else None
    handler = code or model
    telemetry = Telemetry(settings, handler)
    admission = Admission(settings.max_in_flight, settings.max_payload_mb * MEGABYTE)
    # JSON is read and written by one thread at a time: several would share the interpreter, and
    # pings would wait for all of them.
    interpreter = threading.Lock()
    app = Flask("serve", static_folder=None)
    app.url_map.merge_slashes = False  # nothing is redirected
    # Werkzeug refuses a body of exactly this many bytes.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_payload_mb * MEGABYTE + 1
    app.extensions |= {
        "handler": handler,
        "telemetry": telemetry,
        "deadline": settings.deadline_seconds,
        "arrived": lambda _: None,  # a worker wants to know which requests are all there
    }

    @app.get("/ping")
    def ping() -> Response:
        state = handler.wait(PING_PATIENCE_SECONDS)
        if state is State.FAILED:
            raise errors.ModelUnavailable(f"the model could not be loaded: {handler.failure}")
        if state is not State.READY and settings.ping_ready == "strict":
            raise errors.ModelUnavailable(f"the model is not ready: {state.value}")
        return Response(status=200)

    @app.get("/execution-parameters")
    def execution_parameters() -> dict[str, Any]:
        # While one request is computed, the next one is read. All bodies together: 100 MB.
        most = LARGEST_PAYLOAD_MB // settings.max_payload_mb
        return {
            "MaxConcurrentTransforms": min(most, 2 * found.threads),
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": settings.max_payload_mb,
        }

    @app.post("/invocations")
    def invocations() -> Response:
        account: Account = g.account
        ask = code or negotiation.read(request)  # code of the owner's negotiates itself
        with admission.enter() as entry:
            with account.stage("read"):
                data = entry.read(request)
                account.bytes_in = len(data)
                app.extensions["arrived"](request.environ.get("gunicorn.socket"))
            if not isinstance(ask, negotiation.Ask):
                answer, answer_type = ask.answer(data, dict(request.headers), account)
                return Response(answer, content_type=answer_type)
            with account.stage("parse"), interpreter:
                body = wire.read(data, ask.media_type)
            bad = [record for record in body.records if isinstance(record, errors.BadLine)]
            account.records, account.bad_records = len(body.records), len(bad)
            if bad and not ask.report and settings.on_bad_record != "report":
                raise errors.bad_lines(bad, len(body.records))
            texts = [record.text for record in body.records if isinstance(record, Record)]
            scored = model.score(texts, account.began + settings.deadline_seconds, ask.scores)
            account.scored(scored.usage, scored.predictions)
            with account.stage("write"), interpreter:
                answer = wire.write(in_order(body, scored), ask.answer_type, body.single)
        return Response(answer, content_type=ask.answer_type)

    @app.before_request
    def begin() -> None:
        if request.path != "/ping":
            route = str(request.url_rule or "unknown")
            ids = negotiation.inference_id(request), negotiation.attributes(request)
            g.account = Account(route, *ids)

    @app.after_request
    def report(response: Response) -> Response:
        if (account := g.get("account")) is not None:
            negotiation.carry(response, account)
            telemetry.report(account, response.status_code, response.content_length or 0)
        return response

    app.register_error_handler(Exception, faults.answer)
    if settings.model_load == "eager":
        handler.load()
    elif settings.model_load == "background":
        handler.start()
    return app


def _user_code(settings: Settings, found: limits.Limits, model: Handler) -> UserCode:
    from serve.user_code import UserCode

    return UserCode(settings, found.threads, model)


def in_order(body: wire.Body, scored: Scored) -> list[Outcome]:
    """One outcome for each record, in order; a bad line is its own outcome."""
    predictions = iter(scored.predictions)
    return [next(predictions) if isinstance(record, Record) else record for record in body.records]
