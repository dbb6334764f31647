"""Show on stderr what a command does: each step with its seconds, and a bar for the long ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

# Between two lines of a bar that is written to a file, which keeps them all.
SECONDS_IN_A_FILE = 10.0


class Steps:
    """Writes each step as it begins, and its seconds as the next one begins, or the block ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None  # of a step whose seconds are not out yet

    def __call__(self, step: str) -> None:
        """Begin a step."""
        self.end()
        self._began = self._clock()
        write(f"{step} ... ")

    def __enter__(self) -> Steps:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(finished=error is None)

    def end(self, finished: bool = True) -> None:
        """End the step under way, if there is one."""
        if self._began is not None:
            write(f"{self._clock() - self._began:.1f} s\n" if finished else "\n")
        self._began = None


@contextmanager
def bar(total: int, unit: str) -> Iterator[Callable[[int], object]]:
    """Show a progress bar; call what it gives with the number of units that are newly done."""
    try:
        from tqdm import tqdm
    except ImportError:  # a step that needs none of the extra [compress]
        yield lambda _: None
        return
    write("\n")
    interval = 0.2 if sys.stderr.isatty() else SECONDS_IN_A_FILE
    with tqdm(
        total=total, unit=unit, unit_scale=unit == "B", mininterval=interval, file=sys.stderr
    ) as shown:
        yield shown.update


def write(text: str) -> None:
    """Write to stderr, if anybody is there to read it: the work goes on without."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
