"""Distil: train a student to answer as a teacher does, and to have hidden states like its own."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_handler import resources, tokens
from model_handler.outputs import ProblemType
from model_handler.tokens import Batch, Row

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

# Batches whose texts are sorted by length together: little padding, and yet a random order.
SORTED_TOGETHER = 50
# Widths of batches are multiples of so many tokens. oneDNN keeps code and memory for each width, so
# that with all of them a training would grow by gigabytes.
WIDTHS = 16
# They mask attention with a number that bfloat16 does not have.
FLOAT32_ONLY = ("deberta", "deberta-v2")


@dataclass(frozen=True)
class Lesson:
    """What a student should learn of a batch of B texts.

    `logits` (B, L) are the teacher's. `hidden` are the hidden states (B, T, H) that each layer of
    the student should give, from the first to the last; there may be none. `expected` (B, L) are
    the right answers as probabilities or values, if they are known.
    """

    logits: Tensor
    hidden: Sequence[Tensor] = ()
    expected: Tensor | None = None


# Gives the lesson for the texts at these places, padded to the longest of them.
Teach = Callable[[Sequence[int]], Lesson]


@dataclass(frozen=True)
class Settings:
    """How to distil.

    At a temperature above 1, the teacher's doubts count for more. The losses of hidden states and
    of right answers are multiplied by `hidden_weight` and `label_weight`. The learning rate rises
    in the share `warm_up` of all steps, then falls to 0.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    temperature: float = 2.0
    hidden_weight: float = 1.0
    label_weight: float = 0.0
    warm_up: float = 0.06
    seed: int = 1


def distil(
    student: Any,
    inputs: Collection[str],
    rows: Sequence[Row],
    pad_id: int,
    teach: Teach,
    settings: Settings,
    count: Callable[[int], object],
) -> None:
    """Train `student` on N texts: `rows` are their token ids, `inputs` are what its forward takes.

    `count` is called with how many more texts are done. Embeddings of pieces stay as they are: so
    those that the texts rarely use keep their place among the others.
    """
    import torch

    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    student.train()
    student.get_input_embeddings().weight.requires_grad_(False)
    weights = [each for each in student.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.01, fused=True)
    steps = settings.epochs * -(-len(rows) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(step / steps, settings.warm_up)
    )
    for _ in range(settings.epochs):
        for places in _batches([len(row) for row in rows], settings.batch_size, rng):
            lesson = teach(places)
            batch = training_batch(rows, places, pad_id)
            with half_precision(student):
                output = forward(student, inputs, batch, bool(lesson.hidden))
            loss = _loss(student.config.problem_type, output, batch, lesson, settings)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no hint here
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            count(len(places))
    student.get_input_embeddings().weight.requires_grad_(True)
    student.eval()


def training_batch(rows: Sequence[Row], places: Sequence[int], pad_id: int) -> Batch:
    """Make a batch of the rows at these places, of one of few widths, no wider than the longest."""
    found = [rows[place] for place in places]
    width = -(-max(map(len, found)) // WIDTHS) * WIDTHS
    return tokens.pad(found, pad_id, min(width, max(map(len, rows))))


def forward(model: Any, inputs: Collection[str], batch: Batch, hidden: bool = False) -> Any:
    """Run a transformers model on a batch; returns its output, with hidden states if asked for."""
    import torch

    found = {"input_ids": batch.ids, "attention_mask": batch.mask, "token_type_ids": batch.types}
    wanted = {name: torch.from_numpy(found[name]).to(model.device) for name in inputs}
    return model(**wanted, output_hidden_states=hidden)


def logits(model: Any, inputs: Collection[str], batches: Sequence[Batch]) -> Tensor:
    """Compute the logits of batches, float32 (N, L)."""
    import torch

    with torch.inference_mode(), half_precision(model):
        return torch.cat([forward(model, inputs, each).logits.float() for each in batches])


def has_bfloat16(model: Any) -> bool:
    """Whether the model can be computed in bfloat16, and its device is faster at it."""
    import torch

    if model.config.model_type in FLOAT32_ONLY:
        return False
    if model.device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return "amx_int8" in resources.cpu_kind()  # such CPUs multiply bfloat16 there as well


def half_precision(model: Any) -> contextlib.AbstractContextManager[object]:
    """Compute products in bfloat16 within the block, where the device is faster at it."""
    import torch

    if not has_bfloat16(model):
        return contextlib.nullcontext()
    return torch.autocast(model.device.type, torch.bfloat16)


def faster(model: Any, device: str) -> Any:
    """Return a copy of a model to ask: in bfloat16 throughout, where the device is faster at it."""
    import torch

    copied = copy.deepcopy(model).to(device).eval()
    return copied.to(torch.bfloat16) if has_bfloat16(copied) else copied


def batches(rows: Sequence[Row], size: int, pad_id: int) -> list[Batch]:
    """Make batches of rows in their order."""
    return [tokens.pad(rows[at : at + size], pad_id) for at in range(0, len(rows), size)]


def _batches(lengths: Sequence[int], size: int, rng: random.Random) -> Iterator[list[int]]:
    """Give the places of all texts once, in random batches of nearly equal lengths."""
    places = list(range(len(lengths)))
    rng.shuffle(places)
    several = size * SORTED_TOGETHER
    for start in range(0, len(places), several):
        near = sorted(places[start : start + several], key=lengths.__getitem__)
        found = [near[at : at + size] for at in range(0, len(near), size)]
        rng.shuffle(found)
        yield from found


def _rate(done: float, warm_up: float) -> float:
    """Return what the learning rate is multiplied by once a share of the steps is done."""
    return done / warm_up if done < warm_up else (1 - done) / (1 - warm_up)


def _loss(
    problem_type: str | None, output: Any, batch: Batch, lesson: Lesson, settings: Settings
) -> Tensor:
    """Return the loss of a batch: of its logits, its hidden states, and its labels."""
    loss = _answers_loss(problem_type, output.logits.float(), lesson.logits, settings.temperature)
    if lesson.hidden:
        # The first are those of the embeddings, which do not change.
        states = zip(output.hidden_states[1:], lesson.hidden, strict=True)
        differences = [_difference(mine, wanted, batch.mask) for mine, wanted in states]
        loss = loss + settings.hidden_weight * sum(differences) / len(differences)
    if lesson.expected is not None and settings.label_weight:
        found = _label_loss(problem_type, output.logits.float(), lesson.expected)
        loss = loss + settings.label_weight * found
    return loss


def _answers_loss(
    problem_type: str | None, student: Tensor, teacher: Tensor, temperature: float
) -> Tensor:
    """Compare logits (B, L): with soft labels (one or several), or as values."""
    from torch.nn import functional

    if problem_type == ProblemType.SEVERAL_LABELS:
        wanted = (teacher / temperature).sigmoid()
        found = functional.binary_cross_entropy_with_logits(student / temperature, wanted)
    elif problem_type == ProblemType.VALUES or student.shape[1] == 1:
        return functional.mse_loss(student, teacher)
    else:
        found = functional.kl_div(
            (student / temperature).log_softmax(dim=1),
            (teacher / temperature).log_softmax(dim=1),
            reduction="batchmean",
            log_target=True,
        )
    return found * temperature**2  # so that its gradients are as large at every temperature


def _label_loss(problem_type: str | None, logits: Tensor, expected: Tensor) -> Tensor:
    from torch.nn import functional

    if problem_type == ProblemType.SEVERAL_LABELS:
        return functional.binary_cross_entropy_with_logits(logits, expected)
    if problem_type == ProblemType.VALUES or logits.shape[1] == 1:
        return functional.mse_loss(logits, expected)
    return functional.cross_entropy(logits, expected)


def _difference(mine: Tensor, wanted: Tensor, mask: np.ndarray) -> Tensor:
    """Return the mean square difference of hidden states, as a share of the wanted ones' square."""
    import torch

    tokens_only = torch.from_numpy(mask).to(mine.device).unsqueeze(-1)
    wanted = wanted.float() * tokens_only
    return (mine.float() * tokens_only - wanted).square().sum() / wanted.square().sum()
