"""Make a smaller model of an encoder: of some of its layers, feed-forward columns and pieces.

Which of them matter least is measured on texts, without labels. All matrices stay dense, and the
result is what config.json can say, so transformers opens it as any other checkpoint. For this
reason attention heads stay: in these architectures their number times their size is the size of
the hidden states, whatever config.json says.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from compress import encoders

if TYPE_CHECKING:
    from torch import Tensor

# Runs a model on the texts to measure with, and returns its logits (N, L).
Run = Callable[[Any], "Tensor"]


@dataclass(frozen=True)
class Columns:
    """The feed-forward columns of a layer that stay, and what the others give on average (H,)."""

    kept: Tensor
    lost: Tensor


def choose_layers(model: Any, run: Run, keep: int, count: Callable[[int], object]) -> list[int]:
    """Choose the layers to keep: one by one, that layer goes without which logits change least.

    `count` is called with 1 for each layer that is tried.
    """
    chosen = list(range(len(encoders.layers(model))))
    original = run(model)
    while len(chosen) > keep:
        changes = {}
        for layer in chosen:
            with only(model, [each for each in chosen if each != layer]):
                changes[layer] = float((run(model) - original).square().mean())
            count(1)
        chosen.remove(min(changes, key=changes.__getitem__))
    return chosen


def trials(layers: int, keep: int) -> int:
    """Return how many layers `choose_layers` tries."""
    return sum(range(keep + 1, layers + 1))


@contextmanager
def only(model: Any, chosen: Sequence[int]) -> Iterator[None]:
    """Run a model with some of its layers only."""
    from torch import nn

    path, _, name = encoders.of(model).layers.rpartition(".")
    parent = model.base_model.get_submodule(path)
    layers = getattr(parent, name)
    setattr(parent, name, nn.ModuleList(layers[each] for each in chosen))
    try:
        yield
    finally:
        setattr(parent, name, layers)


def choose_columns(model: Any, run: Run, width: int) -> list[Columns]:
    """Choose `width` feed-forward columns of each layer: those that add most to its output.

    What a column adds is its root mean square times the norm of its weights.
    """
    names = encoders.of(model)
    narrow = [layer.get_submodule(names.narrow) for layer in encoders.layers(model)]
    sums = [_Sums() for _ in narrow]
    hooks = [
        part.register_forward_pre_hook(partial(_add, total))
        for part, total in zip(narrow, sums, strict=True)
    ]
    try:
        run(model)
    finally:
        for hook in hooks:
            hook.remove()
    return [_columns(part, total, width) for part, total in zip(narrow, sums, strict=True)]


@dataclass
class _Sums:
    """Sums of the feed-forward columns of a layer over all tokens, and of their squares (F,)."""

    tokens: int = 0
    values: Any = 0.0
    squares: Any = 0.0


def _add(sums: _Sums, _: Any, inputs: tuple[Tensor, ...]) -> None:
    found = inputs[0].detach().float().flatten(0, -2)
    sums.tokens += len(found)
    sums.values += found.sum(dim=0)
    sums.squares += found.square().sum(dim=0)


def _columns(narrow: Any, sums: _Sums, width: int) -> Columns:
    import torch

    weights = narrow.weight.detach()
    matters = (sums.squares / sums.tokens).sqrt() * weights.norm(dim=0)
    kept = matters.topk(width).indices.sort().values
    mean = sums.values / sums.tokens
    mean[kept] = 0.0
    with torch.no_grad():
        return Columns(kept, weights @ mean)


def cut(
    model: Any,
    layers: Sequence[int] | None = None,
    columns: Sequence[Columns] | None = None,
    pieces: Sequence[int] | None = None,
) -> Any:
    """Return a new model with these layers, columns (of every layer of `model`) and pieces only.

    `pieces` are ids as vocabulary.kept gives them. What is None stays whole.
    """
    small = type(model)(_config(model, layers, columns, pieces)).to(model.device)
    small.load_state_dict(dict(_weights(model, layers, columns, pieces)))
    return small.train(model.training)


def _config(
    model: Any,
    layers: Sequence[int] | None,
    columns: Sequence[Columns] | None,
    pieces: Sequence[int] | None,
) -> Any:
    config = copy.deepcopy(model.config)
    if layers is not None:
        config.num_hidden_layers = len(layers)
    if columns is not None:
        setattr(config, encoders.of(model).width, len(columns[0].kept))
    if pieces is not None:
        config.vocab_size = len(pieces)
        places = {old: new for new, old in enumerate(pieces)}
        for name, place in config.to_dict().items():
            if name.endswith("_token_id") and isinstance(place, int):
                setattr(config, name, places.get(place))
    return config


def _weights(
    model: Any,
    layers: Sequence[int] | None,
    columns: Sequence[Columns] | None,
    pieces: Sequence[int] | None,
) -> Iterator[tuple[str, Tensor]]:
    """Give the weights that are left, under their new names."""
    names = encoders.of(model)
    embeddings = model.get_input_embeddings().weight
    table = next(name for name, each in model.named_parameters() if each is embeddings)
    inside = f"{model.base_model_prefix}.{names.layers}."
    chosen = range(len(encoders.layers(model))) if layers is None else layers
    places = {old: new for new, old in enumerate(chosen)}
    for name, values in model.state_dict().items():
        if name == table and pieces is not None:
            yield name, values[list(pieces)]
        elif not name.startswith(inside):
            yield name, values
        else:
            layer, _, rest = name.removeprefix(inside).partition(".")
            if int(layer) in places:
                if columns is not None:
                    values = _narrowed(names, rest, values, columns[int(layer)])
                yield f"{inside}{places[int(layer)]}.{rest}", values


def _narrowed(names: encoders.Encoder, rest: str, values: Tensor, columns: Columns) -> Tensor:
    """Return a weight of a layer with these feed-forward columns only."""
    if rest in (f"{names.widen}.weight", f"{names.widen}.bias"):
        return values[columns.kept]
    if rest == f"{names.narrow}.weight":
        return values[:, columns.kept]
    return values + columns.lost if rest == f"{names.narrow}.bias" else values
