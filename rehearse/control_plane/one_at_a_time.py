"""Let one call at a time change the records of the control plane."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# moto answers each request in a thread of its own, and locks nothing.
CHANGING = threading.RLock()


def one_at_a_time(change: Callable[P, R]) -> Callable[P, R]:
    """Let what has been checked be still so when it is recorded."""

    @wraps(change)
    def locked(*given: P.args, **named: P.kwargs) -> R:
        with CHANGING:
            return change(*given, **named)

    return locked
