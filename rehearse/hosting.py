"""Variants of endpoints in, running fleets out: starts, updates, stops and finds them."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rehearse.fleet import Fleet
from rehearse.lifetime import Lifetime
from rehearse.model import Container, Instance, Serverless


@dataclass(frozen=True)
class Variant:
    """One production variant, ready to run."""

    name: str
    container: Container
    spec: Serverless | Instance
    weight: float = 1.0


@dataclass
class Endpoint:
    """A running endpoint; `settled` is set while nothing is under way."""

    fleets: dict[str, Fleet] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)
    settled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


# arn, variant -> fleet
FleetMaker = Callable[[str, Variant], Fleet]
# Told what an endpoint runs from now on; nothing, where it is deleted.
Changed = Callable[[str, Mapping[str, "Variant"]], None]
# What prepares variants: it may download, and raises an exception with one line where it cannot.
Prepare = Callable[[], list[Variant]]
# None for success, else the one line that says what failed.
Done = Callable[[str | None], None]


class Hosting:
    """All endpoints of this rehearsal, by ARN."""

    def __init__(self, make: FleetMaker, changed: Changed = lambda _arn, _variants: None) -> None:
        self._make = make
        self._changed = changed
        self._endpoints: dict[str, Endpoint] = {}
        self._lock = threading.Lock()
        self.lifetime = Lifetime()

    def deploy(self, arn: str, prepare: Prepare, done: Done) -> None:
        """Bring an endpoint to these variants in the background: a new one, or an update."""
        with self._lock:
            endpoint = self._endpoints.setdefault(arn, Endpoint())
        endpoint.settled.clear()
        self._settle(endpoint, lambda: self._deploy(arn, endpoint, prepare()), done)

    def delete(self, arn: str, done: Done) -> None:
        """Stop an endpoint in the background; it takes no more calls."""
        with self._lock:
            endpoint = self._endpoints.setdefault(arn, Endpoint())
        endpoint.settled.clear()
        with endpoint.lock:
            fleets, endpoint.fleets = list(endpoint.fleets.values()), {}

        def work() -> None:
            self.lifetime.stop([each.close for each in fleets])
            with self._lock:
                self._endpoints.pop(arn, None)
            self._changed(arn, {})

        self._settle(endpoint, work, done)

    def fleets(self, arn: str) -> tuple[Mapping[str, Fleet], Mapping[str, float]]:
        """The fleets of an endpoint and their weights, by name of variant."""
        with self._lock:
            endpoint = self._endpoints.get(arn)
        if endpoint is None:
            return {}, {}
        with endpoint.lock:
            return dict(endpoint.fleets), dict(endpoint.weights)

    def choose(self, arn: str, target: str | None) -> tuple[str, Fleet] | None:
        """The fleet that takes a call: the named one, or by weight."""
        fleets, weights = self.fleets(arn)
        if target is not None:
            return (target, fleets[target]) if target in fleets else None
        if not fleets:
            return None
        names = list(fleets)
        shares = [weights[name] for name in names]
        chosen = random.choices(names, shares if sum(shares) else None)[0]
        return chosen, fleets[chosen]

    def variants(self, arn: str) -> dict[str, Variant]:
        """What runs now, as it was prepared."""
        with self._lock:
            endpoint = self._endpoints.get(arn)
        return dict(endpoint.variants) if endpoint else {}

    def wait(self, arn: str, seconds: float) -> None:
        """Wait until nothing is under way with an endpoint."""
        with self._lock:
            endpoint = self._endpoints.get(arn)
        if endpoint is not None:
            endpoint.settled.wait(seconds)

    def _deploy(self, arn: str, endpoint: Endpoint, variants: list[Variant]) -> None:
        """Start what is new before anything that serves is stopped, so that no request is lost."""
        fleets: dict[str, Fleet] = {}
        with contextlib.ExitStack() as stack:
            for variant in variants:
                if (fleet := endpoint.fleets.get(variant.name)) is not None:
                    fleet.update(variant.container, variant.spec)
                else:
                    fleet = self._make(arn, variant)
                    stack.enter_context(self.lifetime.closing(fleet.close, kept=True))
                    fleet.start()
                fleets[variant.name] = fleet
            with endpoint.lock:
                gone = [each for name, each in endpoint.fleets.items() if name not in fleets]
                endpoint.fleets = fleets
                endpoint.weights = {each.name: each.weight for each in variants}
                endpoint.variants = {each.name: each for each in variants}
            self._changed(arn, endpoint.variants)
        for each in gone:
            each.drain()
        self.lifetime.stop([each.close for each in gone])

    def _settle(self, endpoint: Endpoint, work: Callable[[], None], done: Done) -> None:
        """Work in the background, then say how it went."""

        def run() -> None:
            try:
                work()
            except Exception as error:  # whatever it is, the endpoint has failed and says why
                done(" ".join(str(error).split()) or type(error).__name__)
            else:
                done(None)
            finally:
                endpoint.settled.set()

        self.lifetime.background(run)
