"""Environments in when they are free, out when one is needed: which, and which are dropped."""

from __future__ import annotations

from rehearse.data_plane.pools import Drops
from rehearse.data_plane.starting import Slot


class Stock:
    """What a serverless pool has. Whoever calls holds the lock of the pool."""

    def __init__(self) -> None:
        self.all: set[Slot] = set()
        self.idle: set[Slot] = set()
        self.drops = Drops()

    def take(self) -> Slot | None:
        """A provisioned one if there is, else the last used, so that others can be dropped."""
        for slot in [each for each in self.idle if not each.environment.alive()]:
            self.drop(slot)
        best = max(self.idle, key=lambda slot: (slot.provisioned, slot.used), default=None)
        if best is not None:
            self.idle.remove(best)
        return best

    def put(self, slot: Slot, now: float) -> None:
        """Idle from now on, unless it has been dropped meanwhile."""
        slot.used, slot.looked_at = now, False
        if slot in self.all:
            self.idle.add(slot)

    def drop(self, slot: Slot) -> None:
        """End one."""
        self.all.discard(slot)
        self.idle.discard(slot)
        self.drops.drop(slot.environment)

    def drop_idle(self) -> None:
        """End all that answer no call at the moment."""
        for slot in list(self.idle):
            self.drop(slot)

    def tidy(self, before: float) -> None:
        """End what was last used before that time, unless it is provisioned, and what is dead."""
        for slot in list(self.idle):
            if (slot.used <= before and not slot.provisioned) or not slot.environment.alive():
                self.drop(slot)

    def provisioned(self) -> list[Slot]:
        """Those that are kept warm, busy or not."""
        return [slot for slot in self.all if slot.provisioned]
