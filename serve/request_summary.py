"""Keep what is known of one request while it is answered: for its log line, metrics and spans."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from model_handler import Output, Usage


class Stages(dict[str, float]):
    """Seconds that each stage of a request took, by its name, in the order of their ends."""

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure what happens inside of `with`, whether it fails or not."""
        began = time.monotonic()
        try:
            yield
        finally:
            self[name] = time.monotonic() - began


class RequestSummary:
    """What is known of one request so far.

    `inference_id` and `attributes` are the client's, `request_id` is ours.
    """

    def __init__(self, route: str, inference_id: str, attributes: str) -> None:
        self.route = route
        self.inference_id = inference_id
        self.attributes = attributes
        self.request_id = os.urandom(16).hex()
        self.began = time.monotonic()
        self.time = time.time()
        self.bytes_in = 0
        self.records = 0
        self.bad_records = 0
        self.usage = Usage()
        self.predictions: Sequence[Output] = ()
        self.by_code = False  # answered by the owner's code, which alone knows of predictions
        self.code: str | None = None  # of the error, if it was one
        self.stages = Stages()

    def received(self, size: int, began: float) -> None:
        """Take over the size of the body, and when the first byte of the request came."""
        self.bytes_in = size
        self.time -= self.began - began
        self.began = began
        self.stages["read"] = time.monotonic() - began

    def scored(self, usage: Usage, predictions: Sequence[Output]) -> None:
        """Take over the predictions, and what they took."""
        # What needs the model before there is anything to score waits for its load, too.
        self.usage = usage._replace(queue=self.stages.get("queue", 0.0) + usage.queue)
        self.predictions = predictions
        self.stages |= {
            "queue": self.usage.queue,
            "tokenise": usage.tokenise,
            "infer": usage.infer,
        }

    @property
    def model_ms(self) -> float:
        """Milliseconds from texts to predictions."""
        return round(1000 * (self.usage.tokenise + self.usage.infer), 1)
