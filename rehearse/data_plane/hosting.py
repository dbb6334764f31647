"""Variants of endpoints in, running fleets out: starts, updates, stops and finds them."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from rehearse.data_plane import artifacts
from rehearse.data_plane.fleet import Fleet
from rehearse.data_plane.lifetime import Lifetime
from rehearse.data_plane.pools import Retired
from rehearse.model import Call, Reply, Variant

# By name of the variant.
Fleets = Mapping[str, Fleet]
Variants = Mapping[str, Variant]


@dataclass
class Endpoint:
    """A running endpoint."""

    fleets: Fleets = field(default_factory=dict)
    variants: Variants = field(default_factory=dict)
    deleted: bool = False
    # Held by the one change that is under way.
    changing: threading.Lock = field(default_factory=threading.Lock)
    settled: threading.Event = field(default_factory=threading.Event)


# arn, variant -> fleet
FleetMaker = Callable[[str, Variant], Fleet]
# Told what an endpoint runs from now on; nothing, where it is deleted.
Changed = Callable[[str, Variants], None]
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
        """Start these variants in the background, for a new endpoint or in place of others."""
        endpoint = self._endpoint(arn)
        self._background(endpoint, lambda: self._deploy(arn, endpoint, prepare()), done)

    def resize(self, arn: str, variants: Iterable[Variant], done: Done) -> None:
        """Change concurrency, number and weights of what runs, in the background."""
        endpoint, wanted = self._endpoint(arn), {each.name: each for each in variants}

        def work() -> None:
            for name, variant in wanted.items():
                endpoint.fleets[name].resize(variant.spec)
            self._commit(arn, endpoint, endpoint.fleets, wanted)

        self._background(endpoint, work, done)

    def delete(self, arn: str, done: Done) -> None:
        """Stop an endpoint in the background; it takes no more calls."""
        endpoint = self._endpoint(arn)
        with self._lock:
            endpoint.deleted = True
            fleets, endpoint.fleets = endpoint.fleets, {}

        def work() -> None:
            self._stop(fleets.values())
            with self._lock:
                if self._endpoints.get(arn) is endpoint:
                    del self._endpoints[arn]
            self._changed(arn, {})

        self._background(endpoint, work, done)

    def invoke(self, arn: str, target: str | None, call: Call) -> tuple[str, Reply] | None:
        """The answer to a call and who gave it: the named variant, or one by weight.

        None where there is none. Raises PlaneError.
        """
        while (chosen := self._choose(arn, target)) is not None:
            name, fleet = chosen
            with contextlib.suppress(Retired):  # an update has just put another in its place
                return name, fleet.invoke(call)
        return None

    def variants(self, arn: str) -> Variants:
        """What serves now; nothing, where no calls are taken."""
        endpoint = self._endpoints.get(arn)
        return endpoint.variants if endpoint and endpoint.fleets else {}

    def wait(self, arn: str, seconds: float) -> bool:
        """Wait until nothing is under way with an endpoint; whether it came to that."""
        endpoint = self._endpoints.get(arn)
        return endpoint is None or endpoint.settled.wait(seconds)

    def _endpoint(self, arn: str) -> Endpoint:
        """The one of that name, or a new one."""
        with self._lock:
            found = self._endpoints.get(arn)
            if found is None or found.deleted:
                found = self._endpoints[arn] = Endpoint()
            return found

    def _choose(self, arn: str, target: str | None) -> tuple[str, Fleet] | None:
        with self._lock:
            endpoint = self._endpoints.get(arn)
            if endpoint is None or not endpoint.fleets:
                return None
            if target is not None:
                return (target, endpoint.fleets[target]) if target in endpoint.fleets else None
            names = list(endpoint.fleets)
            shares = [endpoint.variants[name].weight for name in names]
            chosen = random.choices(names, shares if sum(shares) else None)[0]
            return chosen, endpoint.fleets[chosen]

    def _deploy(self, arn: str, endpoint: Endpoint, variants: list[Variant]) -> None:
        """All that is new serves before anything that serves is stopped: no request is lost."""
        before, fleets = endpoint.fleets, {}
        try:
            with contextlib.ExitStack() as starting:
                for variant in variants:
                    fleet = fleets[variant.name] = self._make(arn, variant)
                    starting.enter_context(self.lifetime.closing(fleet.close, kept=True))
                    fleet.start()
                self._commit(arn, endpoint, fleets, {each.name: each for each in variants})
        except BaseException:
            self._stop(fleets.values())
            raise
        for fleet in before.values():
            fleet.drain()
        self._stop(before.values())

    def _commit(self, arn: str, endpoint: Endpoint, fleets: Fleets, variants: Variants) -> None:
        with self._lock:
            if endpoint.deleted:
                raise RuntimeError("The endpoint has been deleted meanwhile.")
            endpoint.fleets, endpoint.variants = fleets, variants
        self._changed(arn, variants)

    def _stop(self, fleets: Iterable[Fleet]) -> None:
        """With their models, each of which was unpacked for its fleet alone."""
        self.lifetime.stop([each.close for each in fleets])
        for model in filter(None, (each.container.model for each in fleets)):
            artifacts.remove(model)

    def _background(self, endpoint: Endpoint, work: Callable[[], None], done: Done) -> None:
        """Work in the background, after what is under way, then say how it went."""
        endpoint.settled.clear()

        def run() -> None:
            with endpoint.changing:
                try:
                    work()
                except Exception as error:  # whatever it is, the endpoint has failed and says why
                    done(" ".join(str(error).split()) or type(error).__name__)
                else:
                    done(None)
                finally:
                    endpoint.settled.set()

        self.lifetime.background(run)
