"""Answer requests with the owner's code: functions of the entry point, ours where one is missing.

All of it runs in one thread, as in the single-threaded processes of AWS's toolkits: the import,
model_fn and one call at a time. A call cannot be interrupted: one that goes on after its deadline
is answered by 504 and holds up those that wait, so that there is never more than one.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from model_handler import Handler, ModelError, State, Status
from model_handler.errors import DeadlineError
from model_handler.loading import Loader
from serve import default_functions, entry_point, errors, lazy_imports, wire
from serve.calls import Call, OneThread, WholeLines
from serve.code_arguments import Classifier, Context
from serve.entry_point import Hook
from serve.request_summary import RequestSummary
from serve.settings import Settings

log = logging.getLogger(__name__)

ANY_TYPE = "*/*"


@dataclass(frozen=True)
class Loaded:
    """The functions of the entry point, what model_fn has made or our model, and the status."""

    hooks: Mapping[str, Hook]
    model: Any
    status: Status


class UserCode:
    """Serves the entry point of SAGEMAKER_PROGRAM, and is loaded and stopped as a Handler is."""

    def __init__(self, settings: Settings, threads: int, handler: Handler) -> None:
        """Take `handler` for code without a model_fn, and limit numeric libraries to `threads`."""
        self._settings = settings
        self._handler = handler
        self._thread = OneThread(handler.stop)
        opened = partial(self._thread.run, self._open)
        self._loader: Loader[Loaded] = Loader(opened, None, threads, handler.stop)
        self.start = self._loader.start
        self.wait = self._loader.wait

    @property
    def status(self) -> Status:
        """Where the load of the code stands; telemetry calls its engine "custom"."""
        return self._loader.status

    def load(self) -> Loaded:
        """Load the code or join the load under way; raise ModelError once loading failed."""
        return self._loader.load()

    def finish_by(self, end: float) -> None:
        """Give up what is not answered by `end`, by the clock: the server is about to stop."""
        self._handler.finish_by(end)

    def answer(
        self, headers: Mapping[str, str], summary: RequestSummary, body: bytes
    ) -> tuple[bytes, str]:
        """Return the body of the answer to a request, and its type.

        Raise a ServeError, ModelError or DeadlineError. A ValueError of the code is BadRequest, or
        as all else an InternalError, whose traceback goes to the log.
        """
        kept = {name.lower(): value for name, value in headers.items()}
        accept = kept.get("accept", ANY_TYPE).strip()
        call = Call(
            body,
            kept.get("content-type") or wire.JSON,
            self._settings.default_accept if accept in ("", ANY_TYPE) else accept,
            Context(str(self._settings.model_dir), summary.request_id, kept),
            summary.began + self._settings.deadline_seconds,
        )
        cold = not self._loader.used.is_set()
        try:
            self._loader.load(call.deadline)
            found: tuple[bytes, str] = self._thread.run(partial(self._run, call), call.deadline)
            self._loader.used.set()
            summary.by_code = True
            return found
        except (errors.ServeError, ModelError, DeadlineError):
            raise
        except ValueError as error:
            if self._settings.value_error_status != 400 or not str(error):
                raise self._fault(error, summary) from error
            log.warning("%s: refused at %sValueError", summary.request_id, entry_point.place(error))
            raise errors.BadRequest(str(error)) from error
        except (Exception, SystemExit) as error:
            raise self._fault(error, summary) from error
        finally:
            stages = dict(call.stages)
            stages.setdefault("queue", time.monotonic() - call.entered)
            summary.stages |= stages
            infer = stages.get("infer", 0.0)
            summary.usage = call.usage._replace(
                queue=stages["queue"], tokenise=0.0, infer=infer, cold=cold
            )

    def _fault(self, error: BaseException, summary: RequestSummary) -> errors.ServeError:
        """Log a fault of the owner's code, and return what the client is told of it."""
        log.error("internal error %s in your code", summary.request_id, exc_info=error)
        return errors.from_exception(error, summary.request_id)

    def _open(self) -> Loaded:
        """Import the code and make the model; raise ModelError."""
        began = time.monotonic()
        lazy_imports.uninstall()
        sys.stdout = WholeLines(sys.stdout)
        hooks = entry_point.load(self._settings)
        directory = self._settings.model_dir
        if "model_fn" in hooks:
            context = Context(str(directory), "", {})
            make = partial(hooks["model_fn"], context, str(directory))
            model = entry_point.guarded("model_fn failed", make)
        else:
            try:
                self._handler.load()
            except ModelError as error:
                raise ModelError(f"the code has no model_fn, and {error}") from error
            model = Classifier(self._handler)
        seconds = time.monotonic() - began
        return Loaded(hooks, model, Status(State.READY, engine="custom", load_seconds=seconds))

    def _run(self, call: Call) -> tuple[bytes, str]:
        """Call the functions, in the thread of the code."""
        call.stages["queue"] = time.monotonic() - call.entered
        loaded = self._loader.load()
        body = default_functions.string_or_bytes(call.body, call.content_type)
        if not isinstance(loaded.model, Classifier):
            return _answer(_transform(loaded, call, body), call)
        loaded.model.begin(call.deadline)
        try:
            return _answer(_transform(loaded, call, body), call)
        finally:
            call.usage = loaded.model.usage


def _transform(loaded: Loaded, call: Call, body: str | bytes) -> Any:
    """Call transform_fn, or input_fn, predict_fn and output_fn, or ours in their places."""
    hooks, context = loaded.hooks, call.context
    if "transform_fn" in hooks:
        with call.stages.measure("infer"):
            return hooks["transform_fn"](
                context, loaded.model, body, call.content_type, call.accept
            )
    with call.stages.measure("parse"):
        if "input_fn" in hooks:
            data = hooks["input_fn"](context, body, call.content_type)
        else:
            data = default_functions.decode(body, call.content_type)
    with call.stages.measure("infer"):
        if "predict_fn" in hooks:
            prediction = hooks["predict_fn"](context, data, loaded.model)
        else:
            prediction = default_functions.predict(data, loaded.model)
    with call.stages.measure("write"):
        if "output_fn" in hooks:
            return hooks["output_fn"](context, prediction, call.accept)
        return _encoded(prediction, call.accept)


def _encoded(prediction: Any, accept: str) -> bytes:
    """Write a prediction as Accept asks; one that cannot be written is no fault of the client's."""
    try:
        return default_functions.encode(prediction, accept)
    except ValueError as error:
        raise TypeError(f"the prediction cannot be written as JSON: {error}") from error


def _answer(result: Any, call: Call) -> tuple[bytes, str]:
    """Make the body and type of an answer of what output_fn or transform_fn has returned."""
    kind = call.context.response_content_type or call.accept.partition(",")[0].strip()
    if isinstance(result, tuple) and len(result) == 2:
        result, kind = result
    if not isinstance(kind, str) or not kind.isascii() or not kind.isprintable():
        raise TypeError("the type of the answer is not a Content-Type")
    if isinstance(result, str):
        return result.encode(), kind
    if isinstance(result, bytes | bytearray):
        return bytes(result), kind
    return _encoded(result, call.accept), kind
