"""Score the examples of a file with a model, as the server does, and read labels off the logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from compress.examples import Data, Example, Task
from compress.figures import Places
from model_handler import outputs, resources, tokens
from model_handler.batching import Batcher
from model_handler.errors import EngineError
from model_handler.outputs import ProblemType

if TYPE_CHECKING:
    import numpy as np

    from model_handler.engines import Model

# Texts at a time: as many are in memory, and a bar moves as often.
CHUNK = 128


def logits(model: Model, data: Data, count: Callable[[int], object]) -> np.ndarray:
    """Compute the logits of all examples, float32 (N, L).

    `count` is called with how many more are done. Raises ExamplesError if the file has changed and
    a line is wrong, and EngineError if a logit is no number, as after a training that went wrong.
    """
    import numpy as np

    batcher = Batcher.for_model(model, resources.threads())
    found = []
    for chunk in _chunks(iter(data)):
        rows = tokens.encode(model.tokenizer, [each.text for each in chunk])
        found.append(batcher.logits(rows).logits)
        count(len(chunk))
    table = np.concatenate(found)
    if not np.isfinite(table).all():
        raise EngineError("the model answers some texts with NaN or infinity; train it again")
    return table


def _chunks(found: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(found, CHUNK)):
        yield chunk


def scores(found: np.ndarray, task: Task) -> np.ndarray:
    """Turn logits into what the task answers with, float64 (N, L): probabilities, or values."""
    if task.problem_type is ProblemType.VALUES:
        return found.astype("float64")
    one = task.problem_type is ProblemType.ONE_LABEL
    return outputs.softmax(found) if one else outputs.sigmoid(found)


def places(found: np.ndarray, task: Task) -> list[Places]:
    """Give the places of the labels that each row of scores, (N, L), answers with."""
    if task.problem_type is ProblemType.ONE_LABEL:
        return [(place,) for place in found.argmax(axis=1).tolist()]
    return [tuple(row.nonzero()[0].tolist()) for row in found >= outputs.THRESHOLD]
