"""An instance in, one container that is kept up and takes all calls at once out."""

from __future__ import annotations

import threading

from rehearse.data_plane.pools import Drops, Retired
from rehearse.data_plane.starting import Lease, Slot, Starter, ping
from rehearse.model import Instance, Serverless, Unavailable

RETRY_SECONDS = 1.0
# So many pings in a row without a 200, and the container is started again; undocumented.
MISSES = 3


class InstancePool:
    """The container of an instance endpoint. One, whatever InitialInstanceCount says."""

    def __init__(self, starter: Starter) -> None:
        self._starter = starter
        self._lock = threading.Condition()
        self._slot: Slot | None = None
        self._busy: dict[Slot, int] = {}
        self._starting = False
        self._retired = False
        self._closing = threading.Event()
        self._drops = Drops()
        self._pinged = starter.clock()
        self._missed = 0

    def start(self) -> None:
        """Raises what starting a container does."""
        with self._lock:
            if self._retired:
                raise Unavailable("The endpoint is being stopped.")
            self._starting = True
        slot = None
        try:
            slot = self._starter.start(self._closing)
        finally:
            with self._lock:
                self._slot, self._starting, self._missed = slot, False, 0
                if self._retired:
                    self._end(0.0)
                self._lock.notify_all()

    def resize(self, spec: Serverless | Instance) -> None:
        """Instances differ in words only, so that nothing is to be done for others of them."""

    def lease(self) -> Lease:
        """The container; raises Unavailable while it is started again."""
        with self._lock:
            if self._retired:
                raise Retired
            if self._slot is None:
                raise Unavailable("The container of the instance is being started again.")
            self._busy[self._slot] = self._busy.get(self._slot, 0) + 1
            return Lease(self._slot, False, sum(self._busy.values()))

    def give_back(self, lease: Lease, lost: bool) -> None:
        """A container that has ended is started again; one that was slow is not."""
        with self._lock:
            slot = lease.slot
            slot.looked_at = False
            self._busy[slot] -= 1
            if not self._busy[slot]:
                del self._busy[slot]
                if self._retired and slot is self._slot:
                    self._end()
        if lost and not slot.environment.alive():
            self._restart(slot)

    def sweep(self) -> None:
        """Start again what has ended, or has answered no ping for a while."""
        with self._lock:
            slot = self._slot
            due = self._starter.clock() - self._pinged
        if slot is None:
            return
        slot.look()
        if due >= self._starter.limits.instance_ping_seconds:
            self._pinged = self._starter.clock()
            status, _ = ping(slot.environment, self._starter.limits.ping_seconds)
            self._missed = 0 if status == 200 else self._missed + 1
        if self._missed >= MISSES or not slot.environment.alive():
            self._restart(slot)

    def retire(self) -> None:
        """Calls that are under way are answered first."""
        with self._lock:
            self._retired = True
            if self._slot and not self._busy.get(self._slot):
                self._end()

    def wait(self) -> None:
        """Until the container that was retired has ended by itself."""
        self._drops.wait(now=False)

    def close(self) -> None:
        """End the container now, and wait until it has ended."""
        self._closing.set()
        with self._lock:
            self._retired = True
            self._end(0.0)
            self._lock.wait_for(lambda: not self._starting)
        self._drops.wait(now=True)

    def sizes(self) -> tuple[int, int]:
        """One or none."""
        with self._lock:
            return int(self._slot is not None), int(self._slot is not None and not self._busy)

    def _end(self, seconds: float | None = None) -> None:
        """Holding the lock: SIGTERM, and time to leave, as the platform gives an instance."""
        if self._slot:
            grace = self._starter.limits.instance_stop_seconds if seconds is None else seconds
            self._drops.drop(self._slot.environment, grace)
        self._slot = None

    def _restart(self, slot: Slot) -> None:
        """Once for each container, however many calls have noticed."""
        with self._lock:
            if self._slot is not slot or self._retired:
                return
            self._end(0.0)
        threading.Thread(target=self._bring_back, name="restart", daemon=True).start()

    def _bring_back(self) -> None:
        while not self._closing.is_set() and not self._retired:
            try:
                self.start()
                return
            except Exception as error:  # whatever it is, it may be over the next time
                if not self._closing.wait(RETRY_SECONDS):
                    self._starter.log(f"rehearse: {error}")
