"""Set gunicorn up for one container with one model."""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from model_handler import manifest
from platform_facts import CALL_SECONDS, STOP_SECONDS
from serve import lazy_imports
from serve.settings import STILL_SECONDS, Settings

if TYPE_CHECKING:
    from serve.app import Application


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no type hints
    """gunicorn, as `serve` runs it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def run(self) -> None:
        """Serve until SIGTERM, and then until what is under way is answered."""
        _Arbiter(self).run()

    def load_config(self) -> None:
        """Give gunicorn its settings.

        https://docs.gunicorn.org/en/stable/settings.html
        """
        for name, value in self.options().items():
            self.cfg.set(name, value)

    def options(self) -> dict[str, Any]:
        """Return settings of gunicorn by name."""
        return {
            "bind": f"0.0.0.0:{self._settings.port}",
            # One process holds the model; threads keep /ping answered while it computes.
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
            # A silent worker is killed, but not while the platform still waits for its answer.
            "timeout": int(CALL_SECONDS) + 15,
            "graceful_timeout": int(STOP_SECONDS) - 5,
            "keepalive": int(CALL_SECONDS) + 15,
            # Not its debug lines, which quote paths, and heads of requests that were cut off.
            "loglevel": self._settings.log_level.replace("debug", "info"),
            "when_ready": _on_listening,
            "post_fork": _on_fork,
            "post_request": _on_answer,
        }

    def load(self) -> Application:
        """Make the application; gunicorn calls this in the worker, once it has been forked."""
        _share_one_heap(os.environ)
        lazy_imports.import_or_retry("serve.app")
        from serve.app import create_app

        if not (self._settings.model_dir / manifest.NAME).exists():
            # PyTorch and transformers look into what they import.
            lazy_imports.uninstall()
        logging.basicConfig(
            level=self._settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
        )
        return create_app(self._settings)


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no type hints
    """gunicorn's parent process, which a second SIGTERM ends at once, and which may stand still."""

    _last_look = 0.0

    def murder_workers(self) -> None:
        """Kill a worker that is silent, but not for a silence of this process as well."""
        now = time.monotonic()
        stood_still, self._last_look = now - self._last_look > STILL_SECONDS, now
        if stood_still:
            for worker in self.WORKERS.values():
                worker.tmp.notify()
        super().murder_workers()

    def stop(self, graceful: bool = True) -> None:
        """Stop the worker and wait for it, unless a second signal comes."""
        signal.signal(signal.SIGTERM, self._end_at_once)
        super().stop(graceful)

    def _end_at_once(self, *_: object) -> None:
        self.kill_workers(signal.SIGKILL)
        os._exit(128 + signal.SIGTERM)


# https://man7.org/linux/man-pages/man3/mallopt.3.html, and its number in malloc.h
_M_ARENA_MAX = -8


def _share_one_heap(environment: Mapping[str, str]) -> None:
    """Have all threads share a heap: glibc makes eight for each CPU, which keep what is freed.

    After many large bodies the process held 230 MB instead of 405. The image sets MALLOC_ARENA_MAX,
    so that its start need not import ctypes, which takes 2.4 ms; to start Python anew with the
    variable set would take tens. A setting of the owner's wins.
    """
    tunables = environment.get("GLIBC_TUNABLES", "")
    if "MALLOC_ARENA_MAX" in environment or "glibc.malloc.arena_max" in tunables:
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc's alone has it
        mallopt(_M_ARENA_MAX, 1)


# The cyclic garbage collector is off while a process starts, since a start makes objects that stay:
# in the parent until it listens, in the worker from the fork to the first answer. After freeze()
# the collector passes over what is there by then, and the two processes go on sharing its memory:
# https://docs.python.org/3/library/gc.html#gc.freeze


def _on_listening(_server: Any) -> None:
    _turn_collector_on()


def _on_fork(_server: Any, _worker: Any) -> None:
    gc.disable()


def _on_answer(_worker: Any, _request: Any, _environ: Any, _response: Any) -> None:
    _turn_collector_on()


def _turn_collector_on() -> None:
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
