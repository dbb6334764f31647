"""What the update of a stack does in, how it is undone or finished out; one stack at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Step = Callable[[], Any]
_undo: list[Step] = []
_finish: list[Step] = []


class Failed(BaseException):  # no Exception: moto tries those again, four times
    """A resource cannot be updated; `message` says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def once(update: Callable[P, R]) -> Callable[P, R]:
    """Do not try again what has failed: it may have started a container that is broken."""

    @wraps(update)
    def tried(*given: P.args, **named: P.kwargs) -> R:
        try:
            return update(*given, **named)
        except Exception as error:  # whatever it is
            raise Failed(getattr(error, "message", None) or str(error)) from error

    return tried


def begin() -> None:
    """Forget what the last update has done."""
    _undo.clear()
    _finish.clear()


def add(undo: Step, finish: Step | None = None) -> None:
    """A change that has been made: how it is undone, and what remains to be done after all."""
    _undo.append(undo)
    if finish:
        _finish.append(finish)


def undo() -> None:
    """The last change first."""
    for step in reversed(_undo):
        step()


def finish() -> None:
    """What was replaced goes when everything has succeeded."""
    for step in _finish:
        step()
