"""A memory size and a concurrency in, environments for one call each at a time out: from zero.

That an environment answers one request at a time is Lambda's rule, which serverless endpoints run
on: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from rehearse.data_plane.pools import Retired
from rehearse.data_plane.starting import Lease, Slot, Starter
from rehearse.data_plane.stock import Stock
from rehearse.engines import EngineError
from rehearse.model import Instance, PlaneError, Serverless, Throttled


class ServerlessPool:
    """Environments of one container at one memory size."""

    def __init__(self, starter: Starter, spec: Serverless, idle_seconds: float) -> None:
        self.spec = spec
        self._starter = starter
        self._idle_seconds = idle_seconds
        self._lock = threading.Condition()
        self._stock = Stock()
        self._busy = 0
        self._starting = 0  # counted before a start begins: close() waits for all of them
        self._warming = 0  # of those, the ones that become provisioned
        self._retired = False
        self._closing = threading.Event()

    def start(self) -> None:
        """One environment, or all provisioned ones; raises what starting one does.

        New endpoints start warm; who measures cold starts waits first:
        https://github.com/aws-samples/sagemaker-serverless-inference-benchmarking
        """
        if self.spec.provisioned:
            self._warm(wait=True)
            return
        with self._lock:
            self._starting += 1
        self._put(self._start())

    def resize(self, spec: Serverless | Instance) -> None:
        """Another concurrency, in place; raises what starting an environment does.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html
        """
        assert isinstance(spec, Serverless)
        before = self.spec
        self._set(spec)
        try:
            self._warm(wait=True)
        except BaseException:
            self._set(before)
            raise

    def _set(self, spec: Serverless) -> None:
        with self._lock:
            self.spec = spec
            for slot in self._stock.provisioned()[spec.provisioned :]:
                slot.provisioned = False  # an ordinary one from now on

    def lease(self) -> Lease:
        """An environment that is free, or a new one; raises Throttled, or what starting one does.

        Provisioned ones come first, and calls that find none "spill over":
        https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html
        """
        with self._lock:
            if self._retired:
                raise Retired
            if self._busy >= self.spec.max_concurrency:
                raise Throttled(self.spec.max_concurrency)
            self._busy += 1
            concurrency, provisioned = self._busy, self.spec.provisioned
            slot = self._stock.take()
            self._starting += slot is None
        cold = slot is None
        try:
            slot = slot or self._start()
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise
        return Lease(slot, cold, concurrency, bool(provisioned) and not slot.provisioned)

    def give_back(self, lease: Lease, lost: bool) -> None:
        """The call is over; an environment that gave no answer is dropped."""
        with self._lock:
            self._busy -= 1
            if lost:
                self._stock.drop(lease.slot)
            else:
                self._put(lease.slot)

    def sweep(self) -> None:
        """Drop what is dead or has long been idle, look at memory, replace provisioned ones."""
        with self._lock:
            self._stock.tidy(self._starter.clock() - self._idle_seconds)
            slots = list(self._stock.all)
        for slot in slots:
            slot.look()
        self._warm(wait=False)

    def retire(self) -> None:
        """Take no more calls; what is under way is answered first."""
        with self._lock:
            self._retired = True
            self._stock.drop_idle()

    def wait(self) -> None:
        """Nothing: environments have no time to end by themselves."""

    def close(self) -> None:
        """End everything now, and wait until it has ended."""
        self._closing.set()
        with self._lock:
            self._retired = True
            for slot in list(self._stock.all):
                self._stock.drop(slot)
            self._lock.wait_for(lambda: not self._starting)
        self._stock.drops.wait(now=True)

    def sizes(self) -> tuple[int, int]:
        """How many environments there are, and how many of them are idle."""
        with self._lock:
            return len(self._stock.all), len(self._stock.idle)

    def _put(self, slot: Slot) -> None:
        with self._lock:
            if self._retired:
                self._stock.drop(slot)
            else:
                self._stock.put(slot, self._starter.clock())

    def _start(self, provisioned: bool = False) -> Slot:
        """One that has been counted as starting."""
        try:
            slot = self._starter.start(self._closing)
            with self._lock:
                there = len(self._stock.provisioned())  # perhaps fewer are wanted by now
                slot.provisioned = provisioned and there < self.spec.provisioned
                self._stock.all.add(slot)
                if self._closing.is_set():
                    self._stock.drop(slot)
            return slot
        finally:
            with self._lock:
                self._starting -= 1
                self._lock.notify_all()

    def _warm(self, wait: bool) -> None:
        """Start the provisioned environments that are missing, all at once."""
        with self._lock:
            self._lock.wait_for(lambda: not (wait and self._warming))  # those of a sweep
            there = len(self._stock.provisioned()) + self._warming
            missing = 0 if self._retired else max(self.spec.provisioned - there, 0)
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
        except (PlaneError, EngineError) as error:
            self._starter.log(f"rehearse: {error}")
            raise
        finally:
            with self._lock:
                self._warming -= 1
                self._lock.notify_all()
