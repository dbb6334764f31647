"""What a fleet asks of its environments, whether serverless or instances, and how they end."""

from __future__ import annotations

import threading
from typing import Protocol

from rehearse.data_plane.starting import Lease
from rehearse.engines import Environment
from rehearse.model import Instance, Serverless


class Retired(Exception):
    """It takes no more calls, for another has taken its place."""


class Pool(Protocol):
    """Environments of one container."""

    def start(self) -> None:
        """Be ready to serve; raises NotReady or EngineError."""
        ...

    def resize(self, spec: Serverless | Instance) -> None:
        """Another concurrency or number of instances while it serves."""
        ...

    def lease(self) -> Lease:
        """An environment for one call; raises Retired, or the error of the call."""
        ...

    def give_back(self, lease: Lease, lost: bool) -> None:
        """The call is over; `lost` if no answer came."""
        ...

    def sweep(self) -> None:
        """Look after everything; called now and then."""
        ...

    def retire(self) -> None:
        """Take no more calls from now on; environments end with the calls they have."""
        ...

    def wait(self) -> None:
        """Until what was retired has ended by itself."""
        ...

    def close(self) -> None:
        """End everything now."""
        ...

    def sizes(self) -> tuple[int, int]:
        """How many environments there are, and how many of them are idle."""
        ...


class UnderWay:
    """Counts what is under way, so that somebody can wait until nothing is."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Until all has ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count)


class Drops:
    """Ends environments in the background: a call need not wait until another's has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ending: dict[threading.Thread, Environment] = {}

    def drop(self, environment: Environment, seconds: float = 0.0) -> None:
        """End one; it is asked to for so many seconds."""

        def run() -> None:
            environment.stop(seconds)
            with self._lock:
                del self._ending[threading.current_thread()]

        thread = threading.Thread(target=run, name="drop")
        with self._lock:
            self._ending[thread] = environment
            thread.start()

    def wait(self, now: bool) -> None:
        """Until all have ended; now, or in the time that they were given."""
        with self._lock:
            ending = dict(self._ending)
        for thread, environment in ending.items():
            if now:
                environment.stop()
            thread.join()
