"""Wait in tests for what other threads and processes do."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")


def eventually(found: Callable[[], T], seconds: float = 60) -> T:
    """Return what a function returns as soon as that is true, or fail after so many seconds."""
    deadline = time.monotonic() + seconds
    nothing = threading.Event()
    while not (value := found()):
        assert time.monotonic() < deadline, "it has not come to pass"
        nothing.wait(0.01)
    return value


def freeze(pid: int) -> None:
    """Stop a process, and wait until it has stopped: it may answer once more until then."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
