"""Say where an encoder has its layers and their feed-forward matrices, by architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_handler.errors import EngineError


@dataclass(frozen=True)
class Encoder:
    """Names within a transformers model: of modules, and of the field of config.json for a size.

    `layers` is the list of layers within the base model; `widen` and `narrow` are the matrices of
    the feed-forward part within a layer, `width` is how many columns they share. All architectures
    call the number of their layers num_hidden_layers.
    """

    layers: str = "encoder.layer"
    widen: str = "intermediate.dense"
    narrow: str = "output.dense"
    width: str = "intermediate_size"


# Layers that run one after the other, of the same size, each with weights of its own.
ENCODERS = dict.fromkeys(
    (
        *("bert", "camembert", "data2vec-text", "deberta", "deberta-v2", "electra", "ernie"),
        *("megatron-bert", "mpnet", "rembert", "roberta", "roberta-prelayernorm"),
        *("xlm-roberta", "xlm-roberta-xl"),
    ),
    Encoder(),
) | {"distilbert": Encoder("transformer.layer", "ffn.lin1", "ffn.lin2", "hidden_dim")}


def of(model: Any) -> Encoder:
    """Return the names for a model; raises EngineError for an architecture without plain layers."""
    found = ENCODERS.get(model.config.model_type)
    if found is None:
        raise EngineError(
            f"{model.config.model_type} cannot be shrunk: its layers share weights, have different "
            f"sizes or are no plain encoder; these can: {', '.join(sorted(ENCODERS))}"
        )
    return found


def layers(model: Any) -> list[Any]:
    """Return the layers of a model, first to last."""
    return list(model.base_model.get_submodule(of(model).layers))
