"""A seed in, a random checkpoint in the shape of roberta-base out: its size without its weights.

python -m benchmarks.checkpoint OUT_DIR
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SEED = 20
VOCABULARY = 50265
POSITIONS = 514
LABELS = {0: "-1", 1: "0", 2: "1"}
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3; <mask> has the last id
# The last layer is made this much stronger than transformers makes it, so that logits of different
# labels are whole units apart, as in a trained model, and rounding cannot turn one into another.
CONTRAST = 5.0


def main() -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write; must not exist")
    make(parser.parse_args().out)


def make(out: Path, seed: int = SEED) -> None:
    """Write the checkpoint; the folder appears once it is whole."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    if out.exists():
        raise SystemExit(f"{out} exists; name a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".checkpoint-", dir=out.parent) as scratch:
        made = Path(scratch) / out.name
        made.mkdir()
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
        tokenizer(seed).save(str(made / "tokenizer.json"))
        (made / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(), indent=1))
        made.rename(out)


def tokenizer(seed: int) -> Tokenizer:
    """A byte-level BPE tokenizer as RoBERTa's: English first, filled up with invented words.

    The same seed and the same Python (whose manual is the English) give the same tokenizer.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY - 1,
        min_frequency=1,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(_corpus(seed), trainer)
    made.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    if made.get_vocab_size() != VOCABULARY or made.token_to_id("<mask>") != VOCABULARY - 1:
        raise RuntimeError(f"the tokenizer has {made.get_vocab_size()} tokens, not {VOCABULARY}")
    return made


def _corpus(seed: int) -> Iterator[str]:
    """The manual of Python ten times, so that its words win, and invented words once."""
    from pydoc_data.topics import topics

    for _ in range(10):
        yield from topics.values()
    letters = random.Random(seed)
    syllables = [a + b + c for a in "bdfghklmnprstvw" for b in "aeiou" for c in ("", "n", "r", "s")]
    for _ in range(60_000):
        yield " " + "".join(letters.choices(syllables, k=letters.randint(2, 4)))


def _tokenizer_config() -> dict[str, object]:
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    names |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    return {"tokenizer_class": "RobertaTokenizer", "model_max_length": POSITIONS - 2, **names}
