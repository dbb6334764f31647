"""Open a checkpoint, keep its answers to the probes, and export its graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compress import export, probe
from compress.probe import Reference
from model_handler import Limits, artifacts, resources, tokens
from model_handler.engines import Options
from model_handler.outputs import Label, ProblemType
from model_handler.tokens import Pairs

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Checkpoint:
    """What is kept of a checkpoint once its weights are out of memory.

    `heads` and `hidden` are of its attention, 0 where config.json does not say. `texts` are the
    probe texts, `lengths` rows from the shortest to the longest.
    """

    directory: Path
    architecture: str
    heads: int
    hidden: int
    labels: tuple[Label, ...]
    problem_type: ProblemType
    declared: bool
    max_length: int
    pad_id: int
    pairs: Pairs
    tokenizer: Tokenizer
    texts: Reference
    lengths: Reference


def export_from(
    directory: Path, target: Path, options: Options, say: Callable[[str], None]
) -> Checkpoint:
    """Write the float32 graph of a checkpoint to `target`.

    Raises ModelError when it cannot be opened or exported.
    """
    from model_handler.engines import torch_engine

    artifacts.check_checkpoint(directory, sorted(directory.iterdir()))
    say("open the checkpoint")
    found = torch_engine.open_model(directory, Limits(resources.threads()), options)
    engine = found.engine
    if not isinstance(engine, torch_engine.TorchEngine):
        raise TypeError(f"torch_engine opens {type(engine).__name__}")
    say(f"ask it; texts are cut to {found.max_length} tokens")
    references = [
        Reference(batches, probe.answers(engine.run, batches))
        for batches in (probe.texts(found), probe.lengths(found))
    ]
    say("export")
    names = [name for name in export.INPUTS if name in engine.inputs]
    example = tokens.pad(probe.unequal_rows(found.tokenizer), found.pad_id)
    model = engine.model
    export.export(model, names, example, target)
    config = model.config.get_text_config()
    return Checkpoint(
        directory=directory,
        architecture=config.model_type,
        heads=_number(config, "num_attention_heads"),
        hidden=_number(config, "hidden_size"),
        labels=found.labels,
        problem_type=found.problem_type,
        declared=found.declared,
        max_length=found.max_length,
        pad_id=found.pad_id,
        pairs=found.pairs,
        tokenizer=found.tokenizer,
        texts=references[0],
        lengths=references[1],
    )


def _number(config: object, name: str) -> int:
    found = getattr(config, name, 0)
    return found if isinstance(found, int) else 0
