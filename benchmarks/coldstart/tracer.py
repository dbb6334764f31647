"""Run `serve`, and write a line for each stage of its start to the file that TRACE_FILE names.

`python -m benchmarks.coldstart.tracer`: hooks are set from outside, so the server has none. A line
has lane, depth, stage, start and end (time.perf_counter, which all processes share) and CPU seconds
of the stage's own thread, between tabs. A function that a later version of the server no longer
calls gives no line.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Modules whose import is a stage.
IMPORTS = (
    "serve.__main__",
    "gunicorn.app.base",
    "gunicorn.arbiter",
    "gunicorn.workers.gthread",
    "serve.app",
    "flask",
    "werkzeug",
    "jsonlines",
    "numpy",
    "onnxruntime",
    "tokie",
)
_CONSTRUCTOR = "onnxruntime.capi.onnxruntime_inference_collection"
_SESSION = "onnxruntime.capi.onnxruntime_pybind11_state"
_ENGINE = "model_handler.engines.onnx_engine"
# Module, function in it, and the name of the stage that a call of it is.
CALLS = (
    ("gunicorn.app.base", "BaseApplication.do_load_config", "gunicorn config"),
    ("gunicorn.arbiter", "Arbiter.__init__", "gunicorn arbiter"),
    ("gunicorn.arbiter", "Arbiter.start", "socket bound"),
    ("gunicorn.workers.base", "Worker.load_wsgi", "app"),
    ("serve.app", "create_app", "create_app"),
    ("model_handler.artifacts", "open_model", "model load"),
    ("model_handler.manifest", "glance", "check files"),
    (_CONSTRUCTOR, "InferenceSession.__init__", "session"),
    (_ENGINE, "OnnxEngine.prove", "probe run"),
    (_SESSION, "InferenceSession.initialize_session", "session: initialise"),
    (_SESSION, "InferenceSession.run", "graph run"),
    ("model_handler.engines.packed_tokenizer", "open_early", "tokenizer"),
    ("model_handler.handler", "Handler.score", "first request"),
)
# Functions whose call is a moment, since they last as long as the server.
MOMENTS = (
    ("gunicorn.arbiter", "Arbiter.spawn_worker", "fork"),
    ("gunicorn.workers.base", "Worker.init_process", "worker up"),
    ("gunicorn.workers.gthread", "ThreadWorker.run", "takes requests"),
)


class Tracer:
    """Write stages to a file, from any thread and any child of this process."""

    def __init__(self, path: str) -> None:
        # Lines are appended whole, whoever writes them.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._arbiter = os.getpid()
        self._depth = threading.local()

    def write(self, stage: str, start: float, end: float, cpu: float) -> None:
        """Write one line."""
        lane = "arbiter" if os.getpid() == self._arbiter else "worker"
        thread = threading.current_thread()
        if thread is not threading.main_thread():
            lane += f", {thread.name}"
        depth = getattr(self._depth, "now", 0)
        line = f"{lane}\t{depth}\t{stage}\t{start!r}\t{end!r}\t{cpu!r}\n"
        os.write(self._file, line.encode())

    def traced(
        self, stage: str, function: Callable[..., Any], moment: bool = False
    ) -> Callable[..., Any]:
        """Return the function, with a line for each call that ends in the process it began in.

        A moment's line is written when it is called.
        """

        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            process, start, cpu = os.getpid(), time.perf_counter(), time.thread_time()
            if moment:
                self.write(stage, start, start, 0.0)
                return function(*arguments, **named)
            self._depth.now = getattr(self._depth, "now", 0) + 1
            try:
                return function(*arguments, **named)
            finally:
                self._depth.now -= 1
                if os.getpid() == process:
                    self.write(stage, start, time.perf_counter(), time.thread_time() - cpu)

        return wrapper


class Finder:
    """Let the other finders find a module, and time what runs when it is imported."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own spec, with a loader that writes lines."""
        calls = [call for call in (*CALLS, *MOMENTS) if call[0] == name]
        if name not in IMPORTS and not calls:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def execute(module: ModuleType) -> None:
            run(module)
            for call in calls:
                self._hook(module, *call[1:])

        timed = self._tracer.traced(f"import {name}", execute) if name in IMPORTS else execute
        # The module itself sees its usual loader.
        setattr(spec.loader, "exec_module", timed)  # noqa: B010 - mypy takes it for a method
        return spec

    def _hook(self, module: ModuleType, path: str, stage: str) -> None:
        """Put a wrapper in the place of a function, if there is one of that name."""
        *owners, name = path.split(".")
        owner: Any = module
        for part in owners:
            owner = getattr(owner, part, None)
        function = getattr(owner, name, None)
        if function is None:
            return
        moment = (module.__name__, path, stage) in MOMENTS
        wrapper = self._tracer.traced(stage, function, moment)
        # Looked up in its class it is bound already, so it must not get an instance.
        bound = isinstance(vars(owner).get(name), staticmethod | classmethod)
        setattr(owner, name, staticmethod(wrapper) if bound else wrapper)


def main() -> None:
    """Run `serve` as its console script does."""
    now = time.perf_counter()
    tracer = Tracer(os.environ["TRACE_FILE"])
    # Who started this process knows when; the reader cuts off what lies before.
    tracer.write("interpreter", 0.0, now, time.process_time())
    sys.meta_path.insert(0, Finder(tracer))
    sys.argv[:] = ["serve"]
    from serve.__main__ import main as serve

    serve()


if __name__ == "__main__":
    main()
