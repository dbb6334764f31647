"""Make tiny seeded checkpoints of every architecture that classifies text, to test with.

Each is what `save_pretrained` writes: config.json, weights, a fast tokenizer. Weights are random.
architectures.toml has what is different from one to the other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

TABLES: Mapping[str, Any] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
NAMES: tuple[str, ...] = tuple(TABLES["architectures"])
WORDS = (
    "i love this product ok but not great is the right a it and good bad zip broke on day two "
    "nobody answers my mails never again fits was warm cheap colour darker than in picture though "
    "! , . ? ' - /"
).split()
LABELS = {0: "-1", 1: "0", 2: "1"}
# Large enough for texts to get different logits, as a trained model gives them.
SPREAD = 0.3


def make(name: str, directory: Path, *, seed: int = 3, **config: object) -> Path:
    """Write the checkpoint `name`, one of NAMES; `config` goes over its config.json."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no hint here
    own: dict[str, Any] = dict(TABLES["architectures"][name])
    style = TABLES["tokenizers"][own.pop("tokenizer")]
    family = TABLES["sizes"].get(own.pop("sizes", ""), {})
    absent = own.pop("without", ())
    fast = tokenizer(style)
    fields = {**TABLES["sizes"]["all"], "vocab_size": len(fast), **family, **own}
    fields = {key: size for key, size in fields.items() if key not in absent}
    for role in {"pad", "bos", "eos", *style["special"]} - {"unk"}:
        fields[f"{role}_token_id"] = getattr(fast, f"{role}_token_id")
    if "num_labels" not in config:
        fields["id2label"] = LABELS
    settings = AutoConfig.for_model(name, **(fields | config))
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]  # transformers has no hint here
        settings
    )
    with torch.no_grad():
        for weights in model.parameters():
            # A vector is a bias, or a norm's scale, which is 1 to begin with.
            if weights.dim() > 1:
                weights.normal_(0.0, SPREAD)
            else:
                weights.add_(torch.randn_like(weights), alpha=SPREAD / 3)
    model.save_pretrained(directory)
    fast.save_pretrained(directory)
    return directory


def tokenizer(style: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    """Return a tokenizer of the few WORDS; with bytes or pieces it reads others as well."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    roles: Mapping[str, str] = style["special"]
    special = list(dict.fromkeys(roles.values()))
    if style["model"] == "bytes":
        made = byte_pairs([" ".join(WORDS)], 400, special)
    else:
        made = _MODELS[style["model"]](special, roles.get("unk", special[0]))
    made.add_special_tokens(special)
    if "single" in style:
        used = [(token, made.token_to_id(token)) for token in special]
        made.post_processor = processors.TemplateProcessing(
            single=style["single"], pair=style["pair"], special_tokens=used
        )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no hint here
        tokenizer_object=made,
        padding_side=style.get("padding_side", "right"),
        **{f"{role}_token": token for role, token in roles.items()},
    )


def byte_pairs(texts: Iterable[str], vocabulary: int, special: list[str]) -> Tokenizer:
    """Return a byte-level BPE tokenizer with so many tokens, learned from texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.trainers import BpeTrainer

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return made


def _words(special: list[str], unknown: str) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces = {piece: place for place, piece in enumerate([*special, *WORDS])}
    made = Tokenizer(models.WordLevel(pieces, unk_token=unknown))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def _pieces(special: list[str], unknown: str) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    letters = sorted(set("".join(WORDS)) | {"▁"})
    pieces = [*special, *(f"▁{word}" for word in WORDS), *letters]
    scores = [(piece, -float(place)) for place, piece in enumerate(dict.fromkeys(pieces))]
    made = Tokenizer(models.Unigram(scores, special.index(unknown)))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    return made


_MODELS = {"words": _words, "pieces": _pieces}
