"""A container and what CreateEndpointConfig says of it in, the pool that runs it out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rehearse.engines import Engine
from rehearse.instances import InstancePool
from rehearse.limits import IDLE_SECONDS, Limits
from rehearse.model import Container, Instance, Serverless
from rehearse.pools import Pool
from rehearse.serverless import ServerlessPool
from rehearse.starting import Starter


@dataclass(frozen=True)
class Builder:
    """What all pools of a variant have in common."""

    engine: Engine
    log: Callable[[str], None]
    idle_seconds: float = IDLE_SECONDS
    limits: Limits = field(default_factory=Limits)
    variant: str = "AllTraffic"
    clock: Callable[[], float] = time.monotonic

    def pool(self, container: Container, spec: Serverless | Instance) -> Pool:
        """One that runs nothing yet."""
        if isinstance(spec, Serverless):
            starter = self._starter(container, spec.memory_mb, self.limits.serverless_start_seconds)
            return ServerlessPool(starter, spec, self.idle_seconds)
        memory_mb = self.limits.instance_memory_mb
        return InstancePool(self._starter(container, memory_mb, self.limits.instance_start_seconds))

    def largest(self, spec: Serverless | Instance) -> int:
        """Bytes of the largest body, in either direction."""
        limits = self.limits
        return limits.serverless_bytes if isinstance(spec, Serverless) else limits.instance_bytes

    def _starter(self, container: Container, memory_mb: int, seconds: float) -> Starter:
        return Starter(
            self.engine,
            container,
            memory_mb,
            seconds,
            self.limits,
            self.log,
            self.variant,
            self.clock,
        )
