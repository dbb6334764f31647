"""READ THIS FIRST: the three paths that are served: /ping, /invocations, /execution-parameters.

Each is a function of one Service, which `create_app` makes from the settings. The contract:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
and, for Batch Transform, https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, Response, g, request

from model_handler import Handler, Limits, Options, Pairs, State, resources
from platform_facts import BATCH_LARGEST_PAYLOAD_MB, MEGABYTE, PING_SECONDS
from serve import error_answers, errors, negotiation, wire
from serve.admission import Admission, Entry
from serve.negotiation import RequestOptions
from serve.records import Record
from serve.request_summary import RequestSummary
from serve.settings import Settings
from serve.telemetry import Telemetry

if TYPE_CHECKING:
    from serve.user_code import UserCode

# Half of the time that the platform waits for a ping is left for everything else.
PING_WAIT_SECONDS = PING_SECONDS / 2


class Service(NamedTuple):
    """All that answers requests: made once, at the start, and shared by all threads."""

    settings: Settings
    limits: Limits  # what this process may use
    model: Handler  # scores texts
    code: UserCode | None  # the owner's, which then answers instead of the model
    body_format: ModuleType  # reads bodies and writes answers: serve/wire.py, or huggingface.py
    admission: Admission  # what has arrived, and what there is room for
    telemetry: Telemetry
    # JSON is read and written by one thread at a time: several would share the interpreter, and
    # pings would wait for all of them.
    json_turn: threading.Lock

    @classmethod
    def from_settings(cls, settings: Settings) -> Service:
        """Make all parts; nothing is loaded yet. What few servers need is imported only here."""
        limits = resources.read(settings.cpu_threads, settings.memory_mb)
        pairs = Pairs.FEATURES if settings.text_pairs else Pairs.TEXT_PAIR
        options = Options(settings.max_length, pairs, runs_code=bool(settings.program))
        model = Handler(settings.model_dir, limits, options)
        code: UserCode | None = None
        if settings.program:
            from serve.user_code import UserCode

            code = UserCode(settings, limits.threads, model)
        body_format: ModuleType = wire
        if settings.response_format == "huggingface":
            from serve import huggingface as body_format
        return cls(
            settings=settings,
            limits=limits,
            model=model,
            code=code,
            body_format=body_format,
            admission=Admission(settings.max_in_flight, settings.max_payload_mb * MEGABYTE),
            telemetry=Telemetry(settings, code or model),
            json_turn=threading.Lock(),
        )

    @property
    def handler(self) -> Handler | UserCode:
        """What is loaded, pinged and stopped."""
        return self.code or self.model


def ping(service: Service) -> Response:
    """Answer 200, unless the model could not be loaded, or is not ready and PING_READY=strict."""
    status = service.handler.wait(PING_WAIT_SECONDS)
    if status.failure is not None:
        raise status.failure
    if status.state is not State.READY and service.settings.ping_ready == "strict":
        raise errors.ModelUnavailable(f"the model is not ready: {status.state.value}")
    return Response(status=200)


def execution_parameters(service: Service) -> dict[str, Any]:
    """Tell Batch Transform how much to send at a time."""
    payload_mb = service.settings.max_payload_mb
    # While one request is computed, the next one is read. All bodies together: 100 MB.
    most = BATCH_LARGEST_PAYLOAD_MB // payload_mb
    return {
        "MaxConcurrentTransforms": min(most, 2 * service.limits.threads),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": payload_mb,
    }


def invocations(service: Service) -> Response:
    """Answer a body of records with a prediction for each, or let the owner's code answer it."""
    summary: RequestSummary = g.summary
    if service.code is not None:
        answer = partial(service.code.answer, dict(request.headers), summary)
    else:  # what its headers alone forbid is refused before the body is received
        options = negotiation.read(request, service.body_format)
        answer = partial(predict, service, options, summary)
    with service.admission.admit(request) as entry:
        body = entry.read(request)
        summary.received(len(body), entry.began)
        entry.take_place()
        return _response(entry, *answer(body))


def predict(
    service: Service, options: RequestOptions, summary: RequestSummary, body: bytes
) -> tuple[bytes, str]:
    """Read records, score them, and write what became of each; return the answer and its type."""
    settings, body_format = service.settings, service.body_format
    deadline = summary.began + settings.deadline_seconds
    with summary.stages.measure("parse"), _turn(service.json_turn, deadline):
        parsed = body_format.read(body, options.media_type)
    if body_format.needs_model(parsed):
        with summary.stages.measure("queue"):
            parsed = body_format.for_model(parsed, service.model, deadline)
    bad = [each for each in parsed.records if isinstance(each, errors.BadLine)]
    summary.records, summary.bad_records = len(parsed.records), len(bad)
    if bad and not options.report and settings.on_bad_record != "report":
        raise errors.bad_lines(bad, len(parsed.records))
    texts = [each.text for each in parsed.records if isinstance(each, Record)]
    threshold = settings.threshold if options.threshold is None else options.threshold
    scored = service.model.score(texts, deadline, options.scores, threshold)
    summary.scored(scored.usage, scored.predictions)
    with summary.stages.measure("write"), service.json_turn:
        return body_format.answer(parsed, scored, options.answer_type), options.answer_type


def _response(entry: Entry, body: bytes, media_type: str) -> Response:
    """Make an answer that counts in admission until it has been sent."""
    response = Response(entry.send(body), content_type=media_type)
    response.content_length = len(body)
    response.call_on_close(entry.leave)
    return response


@contextmanager
def _turn(lock: threading.Lock, deadline: float) -> Iterator[None]:
    """Hold a lock; raise DeadlineExceeded when it is not free in time."""
    if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise errors.DeadlineExceeded("not finished in time: other bodies were read first")
    try:
        yield
    finally:
        lock.release()


def _begin() -> None:
    """Begin the summary of a request; pings have none, and stand in no log."""
    if request.path != "/ping":
        route = str(request.url_rule or "unknown")
        ids = negotiation.inference_id(request), negotiation.attributes(request)
        g.summary = RequestSummary(route, *ids)


def _finish(service: Service, response: Response) -> Response:
    """Add headers to an answer, and report it."""
    if (summary := g.get("summary")) is not None:
        negotiation.add_headers(response, summary)
        service.telemetry.report(summary, response.status_code, response.content_length or 0)
    return response


class Application(Flask):
    """The Flask application of a service, which gunicorn's worker asks it for."""

    def __init__(self, service: Service) -> None:
        super().__init__("serve", static_folder=None)
        self.service = service
        self.url_map.merge_slashes = False  # nothing is redirected
        # Werkzeug refuses a body of exactly this many bytes.
        self.config["MAX_CONTENT_LENGTH"] = service.admission.payload + 1
        self.add_url_rule("/ping", "ping", partial(ping, service))
        parameters = partial(execution_parameters, service)
        self.add_url_rule("/execution-parameters", "execution_parameters", parameters)
        answer = partial(invocations, service)
        self.add_url_rule("/invocations", "invocations", answer, methods=["POST"])
        self.before_request(_begin)
        self.after_request(partial(_finish, service))
        self.register_error_handler(Exception, error_answers.answer)


def create_app(settings: Settings | None = None) -> Application:
    """Make the application; the model begins to load as `settings.model_load` says.

    Settings default to the environment's. Raise ModelError if an eager load fails.
    """
    settings = settings or Settings.from_environment()
    service = Service.from_settings(settings)
    app = Application(service)
    if settings.model_load == "eager":
        service.handler.load()
    elif settings.model_load == "background":
        service.handler.start()
    return app
