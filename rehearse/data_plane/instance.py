"""Keep the one container of an instance variant running, which takes all calls at once."""

from __future__ import annotations

import threading

from rehearse.data_plane.environments import (
    BackgroundStops,
    EnvironmentStarter,
    ExecutionEnvironment,
    Lease,
    ping,
)
from rehearse.data_types import VariantConfig
from rehearse.errors import ServiceUnavailable, VariantReplaced

RETRY_SECONDS = 1.0
# So many pings in a row without a 200, and the container is started again; undocumented.
MISSED_PINGS = 3


class InstanceEnvironment:
    """The container of an instance variant: one, whatever InitialInstanceCount says."""

    def __init__(self, starter: EnvironmentStarter) -> None:
        self._starter = starter
        self._lock = threading.Condition()
        self._environment: ExecutionEnvironment | None = None
        self._busy: dict[ExecutionEnvironment, int] = {}
        self._starting = False
        self._retired = False
        self._closing = threading.Event()
        self._stops = BackgroundStops()
        self._pinged = starter.clock()
        self._missed = 0

    def start(self) -> None:
        """Start the container; raise what starting one does."""
        with self._lock:
            if self._retired:
                raise ServiceUnavailable("The endpoint is being stopped.")
            self._starting = True
        environment = None
        try:
            environment = self._starter.start(self._closing)
        finally:
            with self._lock:
                self._environment, self._starting, self._missed = environment, False, 0
                if self._retired:
                    self._end(0.0)
                self._lock.notify_all()

    def resize(self, config: VariantConfig) -> None:
        """Do nothing: whatever the number of instances, one container runs here."""

    def lease(self) -> Lease:
        """Return the container; raise ServiceUnavailable while it is started again."""
        with self._lock:
            if self._retired:
                raise VariantReplaced
            if self._environment is None:
                raise ServiceUnavailable("The container of the instance is being started again.")
            self._busy[self._environment] = self._busy.get(self._environment, 0) + 1
            return Lease(self._environment, False, sum(self._busy.values()))

    def give_back(self, lease: Lease, lost: bool) -> None:
        """Start the container again if it has ended, but not if it was only slow."""
        with self._lock:
            environment = lease.environment
            environment.measured = False
            self._busy[environment] -= 1
            if not self._busy[environment]:
                del self._busy[environment]
                if self._retired and environment is self._environment:
                    self._end()
        if lost and not environment.container.alive():
            self._restart(environment)

    def sweep(self) -> None:
        """Start again what has ended, or has answered no ping for a while."""
        with self._lock:
            environment = self._environment
            since_ping = self._starter.clock() - self._pinged
        if environment is None:
            return
        environment.measure()
        if since_ping >= self._starter.quotas.instance_ping_seconds:
            self._pinged = self._starter.clock()
            status, _ = ping(environment.container, self._starter.quotas.ping_seconds)
            self._missed = 0 if status == 200 else self._missed + 1
        if self._missed >= MISSED_PINGS or not environment.container.alive():
            self._restart(environment)

    def retire(self) -> None:
        """Take no more calls; what is under way is answered first."""
        with self._lock:
            self._retired = True
            if self._environment and not self._busy.get(self._environment):
                self._end()

    def wait(self) -> None:
        """Wait until the container that was retired has ended by itself."""
        self._stops.wait(at_once=False)

    def close(self) -> None:
        """End the container now, and wait until it has ended."""
        self._closing.set()
        with self._lock:
            self._retired = True
            self._end(0.0)
            self._lock.wait_for(lambda: not self._starting)
        self._stops.wait(at_once=True)

    def sizes(self) -> tuple[int, int]:
        """Return how many containers there are, and how many of them are idle: one or none."""
        with self._lock:
            running = self._environment is not None
            return int(running), int(running and not self._busy)

    def _end(self, seconds: float | None = None) -> None:
        """Send SIGTERM and give time to leave, as the platform does; the lock is held."""
        if self._environment:
            grace = self._starter.quotas.instance_stop_seconds if seconds is None else seconds
            self._stops.stop(self._environment.container, grace)
        self._environment = None

    def _restart(self, environment: ExecutionEnvironment) -> None:
        """Restart a container once, however many calls have noticed that it has ended."""
        with self._lock:
            if self._environment is not environment or self._retired:
                return
            self._end(0.0)
        threading.Thread(target=self._start_again, name="restart", daemon=True).start()

    def _start_again(self) -> None:
        while not self._closing.is_set() and not self._retired:
            try:
                self.start()
                return
            except Exception as error:  # whatever it is, it may be over the next time
                if not self._closing.wait(RETRY_SECONDS):
                    self._starter.log(f"rehearse: {error}")
