"""Run a command so that it ends with an exit code and, if it failed, one line that says why."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from compress import examples, gate, interrupts, probe, progress
from model_handler import ModelError

REFUSALS = (ModelError, probe.DriftError, examples.ExamplesError, gate.BudgetError)


def run(
    name: str, work: Callable[[progress.Steps], None], left: str = "nothing is left behind"
) -> None:
    """Do the work; where it fails or is stopped, exit with a line on stderr from `name`.

    `left` says what there is after a stop.
    """
    try:
        with interrupts.raised(), progress.Steps() as say:
            work(say)
    except interrupts.Stopped as stopped:
        fail(name, f"{stopped}; {left}", 128 + stopped.number)
    except REFUSALS as error:
        fail(name, str(error))
    except OSError as error:
        fail(name, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = " ".join(str(error).split())[:300]
        at = f"{Path(where.filename).name}, line {where.lineno}"
        kind = type(error).__name__
        fail(name, f"this failed in an unforeseen way: {kind}: {reason} ({at})")


def fail(name: str, reason: str, code: int = 1) -> NoReturn:
    """Write one line to stderr, and end."""
    progress.write(f"{name}: {' '.join(reason.split())}\n")
    sys.exit(code)
