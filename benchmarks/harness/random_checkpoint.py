"""Make a random checkpoint in the shape of roberta-base: its size without its weights."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.models.architectures import LABELS, byte_pairs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SEED = 20
VOCABULARY = 50265
POSITIONS = 514
ROLES = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
# The last layer is made this much stronger than transformers makes it, so that logits of different
# labels are whole units apart, as in a trained model, and rounding cannot turn one into another.
CONTRAST = 5.0


def make(out: Path, seed: int = SEED) -> None:
    """Write the checkpoint; the folder appears once it is whole."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".checkpoint-", dir=out.parent) as scratch:
        made = Path(scratch) / out.name
        torch.manual_seed(seed)
        config = RobertaConfig(
            vocab_size=VOCABULARY,
            max_position_embeddings=POSITIONS,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            id2label=LABELS,
            label2id={name: index for index, name in LABELS.items()},
        )
        model = RobertaForSequenceClassification(config)
        with torch.no_grad():
            model.classifier.out_proj.weight.mul_(CONTRAST)
        model.save_pretrained(made)
        tokenizer(seed).save_pretrained(made)
        made.rename(out)


def tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer as RoBERTa's: English first, filled up with invented words.

    The same seed and the same Python (whose manual is the English) give the same tokenizer.
    """
    from tokenizers import AddedToken, processors
    from transformers import PreTrainedTokenizerFast

    *first, mask = ROLES.values()
    made = byte_pairs(_corpus(seed), VOCABULARY - 1, first)
    made.add_special_tokens([AddedToken(mask, lstrip=True, special=True)])
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    if made.get_vocab_size() != VOCABULARY or made.token_to_id(mask) != VOCABULARY - 1:
        raise RuntimeError(f"the tokenizer has {made.get_vocab_size()} tokens, not {VOCABULARY}")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no hint here
        tokenizer_object=made,
        model_max_length=POSITIONS - 2,
        **{f"{role}_token": token for role, token in ROLES.items()},
    )


def _corpus(seed: int) -> Iterator[str]:
    """Give the manual of Python ten times, so that its words win, and invented words once."""
    from pydoc_data.topics import topics

    for _ in range(10):
        yield from topics.values()
    letters = random.Random(seed)
    syllables = [a + b + c for a in "bdfghklmnprstvw" for b in "aeiou" for c in ("", "n", "r", "s")]
    for _ in range(60_000):
        yield " " + "".join(letters.choices(syllables, k=letters.randint(2, 4)))
