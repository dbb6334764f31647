"""Deploy, update and delete endpoints in the background, and find the variant for an invocation."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from rehearse.data_plane import artifacts
from rehearse.data_plane.cleanup import Cleanup
from rehearse.data_plane.variant import RunningVariant
from rehearse.data_types import Invocation, InvocationResponse, ProductionVariant
from rehearse.errors import ServiceUnavailable, VariantReplaced, one_line

# By name of the variant.
Running = Mapping[str, RunningVariant]
Variants = Mapping[str, ProductionVariant]


@dataclass
class Endpoint:
    """A running endpoint."""

    running: Running = field(default_factory=dict)
    variants: Variants = field(default_factory=dict)
    deleted: bool = False
    # Held by the one change that is under way.
    changing: threading.Lock = field(default_factory=threading.Lock)
    settled: threading.Event = field(default_factory=threading.Event)


# Makes what runs a variant of the endpoint with this ARN.
VariantMaker = Callable[[str, ProductionVariant], RunningVariant]
# Told what an endpoint runs from now on; nothing, where it is deleted.
Changed = Callable[[str, Variants], None]
# Told of every call that a variant of the endpoint with this ARN has answered.
Answered = Callable[[str, ProductionVariant, Invocation, InvocationResponse], None]
# Prepares variants: it may download, and raises an exception with one line where it cannot.
Prepare = Callable[[], list[ProductionVariant]]
# Told None for success, else the one line that says what failed.
Done = Callable[[str | None], None]


class Endpoints:
    """All endpoints of this rehearsal, by ARN."""

    def __init__(
        self,
        make: VariantMaker,
        changed: Changed = lambda _arn, _variants: None,
        answered: Answered = lambda _arn, _variant, _invocation, _response: None,
    ) -> None:
        self._make = make
        self._changed = changed
        self._answered = answered
        self._endpoints: dict[str, Endpoint] = {}
        self._lock = threading.Lock()
        self.cleanup = Cleanup()

    def deploy(self, arn: str, prepare: Prepare, done: Done) -> None:
        """Start these variants in the background, for a new endpoint or in place of others."""
        endpoint = self._endpoint(arn)
        self._change(endpoint, lambda: self._deploy(arn, endpoint, prepare()), done)

    def resize(self, arn: str, variants: Iterable[ProductionVariant], done: Done) -> None:
        """Change concurrency, number and weights of what runs, in the background."""
        endpoint, wanted = self._endpoint(arn), {each.name: each for each in variants}

        def work() -> None:
            for name, variant in wanted.items():
                endpoint.running[name].resize(variant.config)
            self._commit(arn, endpoint, endpoint.running, wanted)

        self._change(endpoint, work, done)

    def delete(self, arn: str, done: Done) -> None:
        """Stop an endpoint in the background; it takes no more calls."""
        endpoint = self._endpoint(arn)
        with self._lock:
            endpoint.deleted = True
            running, endpoint.running = endpoint.running, {}

        def work() -> None:
            self._stop(running.values())
            with self._lock:
                if self._endpoints.get(arn) is endpoint:
                    del self._endpoints[arn]
            self._changed(arn, {})

        self._change(endpoint, work, done)

    def invoke(
        self, arn: str, target: str | None, invocation: Invocation
    ) -> tuple[str, InvocationResponse] | None:
        """Return the variant that answered and its response: the named one, or one by weight.

        None where there is none. Raises InvocationError.
        """
        while (chosen := self._choose(arn, target)) is not None:
            variant, running = chosen
            with contextlib.suppress(VariantReplaced):
                response = running.invoke(invocation)
                self._answered(arn, variant, invocation, response)
                return variant.name, response
        return None

    def variants(self, arn: str) -> Variants:
        """Return what serves now; nothing, where no calls are taken."""
        endpoint = self._endpoints.get(arn)
        return endpoint.variants if endpoint and endpoint.running else {}

    def running(self) -> list[tuple[str, str, RunningVariant]]:
        """Return the ARN of each endpoint, and name and variant of what serves there now."""
        with self._lock:
            return [
                (arn, name, variant)
                for arn, endpoint in self._endpoints.items()
                for name, variant in endpoint.running.items()
            ]

    def wait(self, arn: str, seconds: float) -> bool:
        """Wait until nothing is under way with an endpoint; return whether it came to that."""
        endpoint = self._endpoints.get(arn)
        return endpoint is None or endpoint.settled.wait(seconds)

    def _endpoint(self, arn: str) -> Endpoint:
        """Return the one of that name, or a new one."""
        with self._lock:
            found = self._endpoints.get(arn)
            if found is None or found.deleted:
                found = self._endpoints[arn] = Endpoint()
            return found

    def _choose(
        self, arn: str, target: str | None
    ) -> tuple[ProductionVariant, RunningVariant] | None:
        with self._lock:
            endpoint = self._endpoints.get(arn)
            if endpoint is None or not endpoint.running:
                return None
            names = list(endpoint.running)
            if target is not None and target not in names:
                return None
            weights = [endpoint.variants[name].weight for name in names]
            chosen = target or random.choices(names, weights if sum(weights) else None)[0]
            return endpoint.variants[chosen], endpoint.running[chosen]

    def _deploy(self, arn: str, endpoint: Endpoint, variants: list[ProductionVariant]) -> None:
        """Let all that is new serve before anything that serves is stopped: no call is lost."""
        before, running = endpoint.running, {}
        try:
            with contextlib.ExitStack() as starting:
                for variant in variants:
                    made = running[variant.name] = self._make(arn, variant)
                    starting.enter_context(self.cleanup.closing(made.close, keep=True))
                    made.start()
                self._commit(arn, endpoint, running, {each.name: each for each in variants})
        except BaseException:
            self._stop(running.values())
            raise
        for replaced in before.values():
            replaced.drain()
        self._stop(before.values())

    def _commit(self, arn: str, endpoint: Endpoint, running: Running, variants: Variants) -> None:
        with self._lock:
            if endpoint.deleted:
                raise ServiceUnavailable("The endpoint has been deleted meanwhile.")
            endpoint.running, endpoint.variants = running, variants
        self._changed(arn, variants)

    def _stop(self, variants: Iterable[RunningVariant]) -> None:
        """Stop variants and remove their models, each unpacked for its variant alone."""
        self.cleanup.close_all([each.close for each in variants])
        for folder in filter(None, (each.container.model_dir for each in variants)):
            artifacts.remove(folder)

    def _change(self, endpoint: Endpoint, work: Callable[[], None], done: Done) -> None:
        """Work in the background, after what is under way, then say how it went."""
        endpoint.settled.clear()

        def run() -> None:
            with endpoint.changing:
                try:
                    work()
                except Exception as error:  # whatever it is, the endpoint has failed and says why
                    done(one_line(error))
                else:
                    done(None)
                finally:
                    endpoint.settled.set()

        self.cleanup.in_background(run)
