"""Scale the environments of a serverless variant: from zero to MaxConcurrency, a call in each.

That an environment answers one request at a time is Lambda's rule, which serverless endpoints run
on: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from rehearse.data_plane.environments import (
    BackgroundStops,
    EnvironmentStarter,
    ExecutionEnvironment,
    Lease,
)
from rehearse.data_types import ServerlessConfig, VariantConfig
from rehearse.errors import ContainerEngineError, InvocationError, Throttled, VariantReplaced


class Pool:
    """All environments of a variant, and which are idle. Whoever calls holds the lock."""

    def __init__(self) -> None:
        self.all: set[ExecutionEnvironment] = set()
        self.idle: set[ExecutionEnvironment] = set()
        self.stops = BackgroundStops()

    def take(self) -> ExecutionEnvironment | None:
        """Take an idle one: one that is provisioned, else the last used, so that others age."""
        for each in [each for each in self.idle if not each.container.alive()]:
            self.drop(each)
        best = max(self.idle, key=lambda each: (each.provisioned, each.last_used), default=None)
        if best is not None:
            self.idle.remove(best)
        return best

    def put(self, environment: ExecutionEnvironment, now: float) -> None:
        """Make one idle, unless it has been dropped meanwhile."""
        environment.last_used, environment.measured = now, False
        if environment in self.all:
            self.idle.add(environment)

    def drop(self, environment: ExecutionEnvironment) -> None:
        """End one."""
        self.all.discard(environment)
        self.idle.discard(environment)
        self.stops.stop(environment.container)

    def drop_idle(self) -> None:
        """End all that answer no call at the moment."""
        for each in list(self.idle):
            self.drop(each)

    def drop_unused(self, before: float) -> None:
        """End what is dead, and what was last used before that time and is not provisioned."""
        for each in list(self.idle):
            if (each.last_used <= before and not each.provisioned) or not each.container.alive():
                self.drop(each)

    def provisioned(self) -> list[ExecutionEnvironment]:
        """Return those that are kept warm, busy or not."""
        return [each for each in self.all if each.provisioned]


class ServerlessEnvironments:
    """The environments of one serverless variant."""

    def __init__(
        self, starter: EnvironmentStarter, config: ServerlessConfig, idle_seconds: float
    ) -> None:
        self.config = config
        self._starter = starter
        self._idle_seconds = idle_seconds
        self._lock = threading.Condition()
        self._pool = Pool()
        self._busy = 0
        self._starting = 0  # counted before a start begins: close() waits for all of them
        self._warming = 0  # of those, the ones that become provisioned
        self._retired = False
        self._closing = threading.Event()

    def start(self) -> None:
        """Start one environment, or all provisioned ones; raise what starting one does.

        New endpoints start warm; who measures cold starts waits first:
        https://github.com/aws-samples/sagemaker-serverless-inference-benchmarking
        """
        if self.config.provisioned_concurrency:
            self._warm(wait=True)
            return
        with self._lock:
            self._starting += 1
        self._put(self._start())

    def resize(self, config: VariantConfig) -> None:
        """Take another concurrency in place; raise what starting an environment does.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html
        """
        assert isinstance(config, ServerlessConfig)
        before = self.config
        self._set(config)
        try:
            self._warm(wait=True)
        except BaseException:
            self._set(before)
            raise

    def _set(self, config: ServerlessConfig) -> None:
        with self._lock:
            self.config = config
            for each in self._pool.provisioned()[config.provisioned_concurrency :]:
                each.provisioned = False  # an ordinary one from now on

    def lease(self) -> Lease:
        """Return an idle environment, or a new one; raise Throttled, or what starting one does.

        Provisioned ones come first, and calls that find none "spill over":
        https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html
        """
        with self._lock:
            if self._retired:
                raise VariantReplaced
            if self._busy >= self.config.max_concurrency:
                raise Throttled(self.config.max_concurrency)
            self._busy += 1
            concurrency, provisioned = self._busy, self.config.provisioned_concurrency
            environment = self._pool.take()
            self._starting += environment is None
        cold = environment is None
        try:
            environment = environment or self._start()
            environment.container.thaw()
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise
        spilled = bool(provisioned) and not environment.provisioned
        return Lease(environment, cold, concurrency, spilled)

    def give_back(self, lease: Lease, lost: bool) -> None:
        """Make the environment of a call idle, or drop it if it gave no answer."""
        with self._lock:
            self._busy -= 1
            if lost:
                self._pool.drop(lease.environment)
            else:
                self._put(lease.environment)

    def sweep(self) -> None:
        """Drop what is dead or has long been idle, measure memory, replace provisioned ones."""
        with self._lock:
            self._pool.drop_unused(self._starter.clock() - self._idle_seconds)
            environments = list(self._pool.all)
        for each in environments:
            each.measure()
        self._warm(wait=False)

    def retire(self) -> None:
        """Take no more calls; what is under way is answered first."""
        with self._lock:
            self._retired = True
            self._pool.drop_idle()

    def wait(self) -> None:
        """Return at once: environments are given no time to end by themselves."""

    def close(self) -> None:
        """End everything now, and wait until it has ended."""
        self._closing.set()
        with self._lock:
            self._retired = True
            for each in list(self._pool.all):
                self._pool.drop(each)
            self._lock.wait_for(lambda: not self._starting)
        self._pool.stops.wait(at_once=True)

    def sizes(self) -> tuple[int, int]:
        """Return how many environments there are, and how many of them are idle."""
        with self._lock:
            return len(self._pool.all), len(self._pool.idle)

    def _put(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            if self._retired:
                self._pool.drop(environment)
            else:
                self._pool.put(environment, self._starter.clock())
                if self._starter.quotas.freezes:
                    environment.container.freeze()

    def _start(self, provisioned: bool = False) -> ExecutionEnvironment:
        """Start one that has been counted as starting."""
        try:
            environment = self._starter.start(self._closing)
            with self._lock:
                present = len(self._pool.provisioned())  # perhaps fewer are wanted by now
                environment.provisioned = (
                    provisioned and present < self.config.provisioned_concurrency
                )
                self._pool.all.add(environment)
                if self._closing.is_set():
                    self._pool.drop(environment)
            return environment
        finally:
            with self._lock:
                self._starting -= 1
                self._lock.notify_all()

    def _warm(self, wait: bool) -> None:
        """Start the provisioned environments that are missing, all at once."""
        with self._lock:
            self._lock.wait_for(lambda: not (wait and self._warming))  # those of a sweep
            present = len(self._pool.provisioned()) + self._warming
            wanted = 0 if self._retired else self.config.provisioned_concurrency
            missing = max(wanted - present, 0)
            self._warming += missing
            self._starting += missing
        if missing:
            threads = ThreadPoolExecutor(missing, "warm")
            started = [threads.submit(self._warm_one) for _ in range(missing)]
            threads.shutdown(wait)
            for each in started if wait else ():
                each.result()

    def _warm_one(self) -> None:
        try:
            self._put(self._start(provisioned=True))
        except (InvocationError, ContainerEngineError) as error:
            self._starter.log(f"rehearse: {error}")
            raise
        finally:
            with self._lock:
                self._warming -= 1
                self._lock.notify_all()
