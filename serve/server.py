"""Settings in, gunicorn set up for one container with one model out."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from serve import lazy_imports
from serve.settings import Settings

if TYPE_CHECKING:
    from flask import Flask


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no type hints
    """gunicorn, set up for one container with one model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def run(self) -> None:
        """Serve until SIGTERM, and then until what is under way is answered."""
        _Arbiter(self).run()

    def load_config(self) -> None:
        """Settings of gunicorn: https://docs.gunicorn.org/en/stable/settings.html"""
        for name, value in self.options().items():
            self.cfg.set(name, value)

    def options(self) -> dict[str, Any]:
        """One process holds the model; threads keep /ping answered while it computes."""
        return {
            "bind": f"0.0.0.0:{self._settings.port}",
            "workers": 1,
            "worker_class": "serve.worker.Worker",
            # Threads are made when they are needed. Some more than invocations can hold, for pings.
            "threads": self._settings.max_in_flight + 64,
            # Files that a process may have open, where the engine says nothing else, are 1,024:
            # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
            "worker_connections": 768,
            # The only place that is writable everywhere; /dev/shm is missing on serverless.
            "worker_tmp_dir": "/tmp",
            # On by default since 25.1, in a home directory that may not exist.
            "control_socket_disable": True,
            # The platform waits 60 seconds for an answer, so a worker must live longer.
            "timeout": 75,
            # SIGKILL comes 30 seconds after SIGTERM.
            "graceful_timeout": 25,
            "keepalive": 75,
            # Not its debug lines, which quote paths, and heads of requests that were cut off.
            "loglevel": self._settings.log_level.replace("debug", "info"),
            "when_ready": _listening,
            "post_fork": _forked,
            "post_request": _answered,
        }

    def load(self) -> Flask:
        """The application; gunicorn calls this in the worker, once it has been forked."""
        _share_one_heap(os.environ)
        lazy_imports.import_or_retry("serve.app")
        from serve.app import create_app

        logging.basicConfig(
            level=self._settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
        )
        return create_app(self._settings)


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no type hints
    """gunicorn's parent process, for which a second SIGTERM counts, too."""

    def stop(self, graceful: bool = True) -> None:
        """Stop the worker, and wait for it; who asks again does not want to wait."""
        signal.signal(signal.SIGTERM, self._leave)
        super().stop(graceful)

    def _leave(self, *_: object) -> None:
        self.kill_workers(signal.SIGKILL)
        os._exit(128 + signal.SIGTERM)


# https://man7.org/linux/man-pages/man3/mallopt.3.html, and its number in malloc.h
_M_ARENA_MAX = -8


def _share_one_heap(environment: Mapping[str, str]) -> None:
    """Have all threads share a heap; glibc gives them eight for each CPU, which keep what is freed.

    A crowd of large bodies left 230 MB instead of 405. The image sets MALLOC_ARENA_MAX, so its
    start does not pay for ctypes: 2.4 ms, where another start of Python with the variable set takes
    tens. A setting of the user's wins.
    """
    tunables = environment.get("GLIBC_TUNABLES", "")
    if "MALLOC_ARENA_MAX" in environment or "glibc.malloc.arena_max" in tunables:
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc's alone has it
        mallopt(_M_ARENA_MAX, 1)


# The cyclic collector rests while a process starts, since a start makes objects that stay: in the
# parent until it listens, in the worker from the fork to the first answer. freeze() spares the
# collector what is there by then, and the two processes a copy of the pages it would write to:
# https://docs.python.org/3/library/gc.html#gc.freeze


def _listening(_server: Any) -> None:
    _collect()


def _forked(_server: Any, _worker: Any) -> None:
    gc.disable()


def _answered(_worker: Any, _request: Any, _environ: Any, _response: Any) -> None:
    _collect()


def _collect() -> None:
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
