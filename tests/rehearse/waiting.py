"""Wait in tests for what other threads and processes do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(found: Callable[[], T], seconds: float = 60) -> T:
    """Return what a function returns as soon as that is true, or fail after so many seconds."""
    deadline = time.monotonic() + seconds
    nothing = threading.Event()
    while not (value := found()):
        assert time.monotonic() < deadline, "it has not come to pass"
        nothing.wait(0.01)
    return value
