"""Find by measuring which weights make an int8 graph drift, and a wider form for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from compress import quantise
from compress.fixed_scales import FixedScale
from compress.probe import Reference
from compress.weights import Form
from model_handler import Limits, resources
from model_handler.tokens import Batch

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

# What is measured on the way is not yet the graph that is optimised in the end.
MARGIN = 0.9
# The graph that is timed has a row of so many tokens, which is a sentence.
TOKENS = 16
RUNS = 20
# Weights that are named; of a large model dozens may be wider.
NAMED = 8


@dataclass(frozen=True)
class Wide:
    """Weights that are not int8: their form by name, and where in the model they are used."""

    form: Form
    forms: Mapping[str, Form]
    places: tuple[str, ...]
    of: int

    def __str__(self) -> str:
        """Give the form, how many of all have it, and the first of the places."""
        named = ", ".join(self.places[:NAMED])
        others = len(self.places) - NAMED
        more = f" and {others} others" if others > 0 else ""
        return (
            f"{self.form} instead of int8 in {len(self.places)} of {self.of} weights: {named}{more}"
        )


def widen(
    source: Path,
    scales: Mapping[str, FixedScale],
    texts: Reference,
    allowed: float,
    say: Callable[[str], None],
) -> Wide | None:
    """Choose the fewest weights, and the smallest form of them, with which logits drift no more.

    `source` is the float32 graph, `scales` are of its activations. Takes a graph in which each
    weight has both forms, runs it once for each weight to rank them by what int8 in that one alone
    changes, and keeps as many of the worst as are needed. None if no form helps.
    """
    import numpy as np

    for form in (Form.BLOCKS, Form.FLOAT):
        switched = _Switched(source, scales, form)
        count = len(switched.places)
        if switched.errors(texts, np.ones(count, np.bool_)).max() > MARGIN * allowed:
            continue
        say(f"measure what int8 changes in each of {count} weights ({form} instead)")
        effects = [
            float(np.square(switched.errors(texts, np.arange(count) != each)).mean())
            for each in range(count)
        ]
        worst = np.argsort(effects)[::-1]
        few, enough = 0, count
        while enough - few > 1:
            middle = (few + enough) // 2
            wide = np.isin(np.arange(count), worst[:middle])
            if switched.errors(texts, wide).max() <= MARGIN * allowed:
                enough = middle
            else:
                few = middle
        names = list(switched.places)
        chosen = [names[each] for each in sorted(worst[:enough])]
        places = tuple(switched.places[name] for name in chosen)
        return Wide(form, dict.fromkeys(chosen, form), places, count)
    return None


class _Switched:
    """A graph in which each weight has both int8 and a wider form, and a run chooses."""

    def __init__(self, source: Path, scales: Mapping[str, FixedScale], form: Form) -> None:
        from model_handler.engines import onnx_engine

        graph = source.with_name("switched.onnx")
        self.places = quantise.quantise(source, graph, scales, switch=form)
        self._session = onnx_engine.open_session(graph, Limits(resources.threads()))
        graph.with_suffix(".bin").unlink()  # it stays mapped

    def errors(self, texts: Reference, wide: np.ndarray) -> np.ndarray:
        """Measure how far logits are from the checkpoint's if these weights are wider."""
        from model_handler.engines import onnx_engine

        return texts.errors(lambda batch: onnx_engine.run(self._session, batch, wide=wide))


def milliseconds(session: onnxruntime.InferenceSession, texts: Reference) -> float:
    """Time a run with a row of TOKENS tokens, or as many as the longest row has."""
    from model_handler.engines import onnx_engine

    longest = max(texts.batches, key=lambda batch: batch.ids.shape[1])
    batch = Batch(*(each[:, :TOKENS] for each in (longest.ids, longest.mask, longest.types)))
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        onnx_engine.run(session, batch)
        times.append(time.perf_counter() - began)
    return median(times) * 1e3
