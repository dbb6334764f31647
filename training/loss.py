"""Balance classes by logit adjustment, so that rare labels are predicted as often as they occur."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def adjusted(places: Sequence[int], labels: int) -> Callable[..., Any]:
    """Return the cross-entropy of logits to which the logarithm of each label's share is added.

    A model that learns with it answers as if all labels were as frequent:
    https://arxiv.org/abs/2007.07314 (Menon et al., 2021). `places` are those of the training
    examples' labels; each label occurs.
    """
    import torch

    shares = torch.bincount(torch.tensor(places), minlength=labels) / len(places)
    prior = shares.log()

    def loss(outputs: Any, expected: Any, num_items_in_batch: Any = None) -> Any:
        logits = outputs["logits"].float() + prior.to(outputs["logits"].device)
        found = torch.nn.functional.cross_entropy(logits, expected, reduction="sum")
        return found / (len(expected) if num_items_in_batch is None else num_items_in_batch)

    return loss
