"""READ THIS FIRST: the three paths that are served: /ping, /invocations, /execution-parameters.

The contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
and, for Batch Transform, https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from model_handler import Handler, Limits, Options, Pairs, State, resources
from serve import errors, faults, negotiation, wire
from serve.admission import Admission, Entry
from serve.records import Record
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
    found = resources.read(settings.cpu_threads, settings.memory_mb)
    pairs = Pairs.FEATURES if settings.text_pairs else Pairs.TEXT_PAIR
    options = Options(settings.max_length, pairs, runs_code=bool(settings.program))
    model = Handler(settings.model_dir, found, options)
    code = _user_code(settings, found, model) if settings.program else None
    handler = code or model
    telemetry = Telemetry(settings, handler)
    admission = Admission(settings.max_in_flight, settings.max_payload_mb * MEGABYTE)
    # JSON is read and written by one thread at a time: several would share the interpreter, and
    # pings would wait for all of them.
    interpreter = threading.Lock()
    form = _format(settings.response_format)
    app = Flask("serve", static_folder=None)
    app.url_map.merge_slashes = False  # nothing is redirected
    # Werkzeug refuses a body of exactly this many bytes.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_payload_mb * MEGABYTE + 1
    app.extensions |= {
        "handler": handler,
        "telemetry": telemetry,
        "admission": admission,
        "deadline": settings.deadline_seconds,
    }

    @app.get("/ping")
    def ping() -> Response:
        status = handler.wait(PING_PATIENCE_SECONDS)
        if status.state is State.FAILED:
            raise errors.ModelUnavailable(f"the model could not be loaded: {status.failure}")
        if status.state is not State.READY and settings.ping_ready == "strict":
            raise errors.ModelUnavailable(f"the model is not ready: {status.state.value}")
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
        ask = code or negotiation.read(request, form)  # code of the owner's negotiates itself
        with admission.admit(request) as entry:
            data = entry.read(request)
            account.received(len(data), entry.began)
            entry.take_place()
            if not isinstance(ask, negotiation.Ask):
                answer, answer_type = ask.answer(data, dict(request.headers), account)
                return _sent(entry, answer, answer_type)
            deadline = account.began + settings.deadline_seconds
            with account.stage("parse"), _turn(interpreter, deadline):
                body = form.read(data, ask.media_type)
            if form.needs_model(body):
                with account.stage("queue"):
                    body = form.for_model(body, model, deadline)
            bad = [record for record in body.records if isinstance(record, errors.BadLine)]
            account.records, account.bad_records = len(body.records), len(bad)
            if bad and not ask.report and settings.on_bad_record != "report":
                raise errors.bad_lines(bad, len(body.records))
            texts = [record.text for record in body.records if isinstance(record, Record)]
            threshold = settings.threshold if ask.threshold is None else ask.threshold
            scored = model.score(texts, deadline, ask.scores, threshold)
            account.scored(scored.usage, scored.predictions)
            with account.stage("write"), interpreter:
                answer = form.answer(body, scored, ask.answer_type)
            return _sent(entry, answer, ask.answer_type)

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


def _user_code(settings: Settings, found: Limits, model: Handler) -> UserCode:
    from serve.user_code import UserCode

    return UserCode(settings, found.threads, model)


def _sent(entry: Entry, answer: bytes, media_type: str) -> Response:
    """An answer that counts in admission until it has been sent."""
    response = Response(entry.send(answer), content_type=media_type)
    response.content_length = len(answer)
    response.call_on_close(entry.leave)
    return response


def _format(name: str) -> ModuleType:
    """The module that reads bodies and writes answers."""
    if name == "huggingface":
        from serve import huggingface

        return huggingface
    return wire


@contextmanager
def _turn(lock: threading.Lock, deadline: float) -> Iterator[None]:
    """Hold a lock; raises DeadlineExceeded when it is not free in time."""
    if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise errors.DeadlineExceeded("not finished in time: other bodies were read first")
    try:
        yield
    finally:
        lock.release()
