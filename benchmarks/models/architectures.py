"""Make tiny seeded checkpoints of every architecture that classifies text, to test with.

Each is what `save_pretrained` writes: config.json, weights, a fast tokenizer. Weights are random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

WORDS = (
    "i love this product ok but not great is the right a it and good bad zip broke on day two "
    "nobody answers my mails never again fits was warm cheap colour darker than in picture though "
    "! , . ? ' - /"
).split()
LABELS = {0: "-1", 1: "0", 2: "1"}
LENGTH = 512
# Large enough for texts to get different logits, as a trained model gives them.
SPREAD = 0.3
SIZES: Mapping[str, object] = MappingProxyType(
    {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": LENGTH,
    }
)
# A decoder's names for its sizes, with fewer heads for keys than for queries.
DECODER: Mapping[str, object] = MappingProxyType(
    {"num_key_value_heads": 1, "head_dim": 16, "tie_word_embeddings": False}
)
ROBERTA: Mapping[str, object] = MappingProxyType({"max_position_embeddings": LENGTH + 2})
SEQ2SEQ: Mapping[str, object] = MappingProxyType(
    {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
    }
)
T5_SIZES: Mapping[str, object] = MappingProxyType(
    {
        "d_model": 32,
        "d_kv": 16,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 2,
        "decoder_start_token_id": 0,
    }
)


@dataclass(frozen=True)
class Style:
    """How a family's tokenizer works: its model, its special tokens by role, its template."""

    model: str  # words, bytes or pieces
    special: Mapping[str, str]
    single: str = "$A"
    pair: str = "$A $B:1"
    padding_side: str = "right"


BERT = Style(
    "words",
    {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"},
    "[CLS] $A [SEP]",
    "[CLS] $A [SEP] $B:1 [SEP]:1",
)
BYTES = Style(
    "bytes",
    {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"},
    "<s> $A </s>",
    "<s> $A </s> </s> $B </s>",
)
PIECES = Style("pieces", BYTES.special, BYTES.single, BYTES.pair)
ALBERT = Style("pieces", BERT.special, BERT.single, BERT.pair)
XLNET = Style(
    "pieces",
    {"unk": "<unk>", "cls": "<cls>", "sep": "<sep>", "pad": "<pad>", "mask": "<mask>"},
    "$A:0 <sep>:0 <cls>:2",
    "$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
    "left",
)
XLM = Style("words", BYTES.special, BYTES.single, "<s> $A </s> $B </s>")
GPT = Style("bytes", {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>"})
QWEN = Style("bytes", {"eos": "<|endoftext|>", "pad": "<|endoftext|>"})
LLAMA = Style("pieces", {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}, "<s> $A", "<s> $A <s> $B")
GEMMA = Style(
    "pieces",
    {"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>"},
    "<bos> $A",
    "<bos> $A $B",
)
T5 = Style("pieces", {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"}, "$A </s>", "$A </s> $B </s>")


@dataclass(frozen=True)
class Shape:
    """A tokenizer, and the fields of config.json that SIZES lacks or has otherwise."""

    style: Style
    config: Mapping[str, object] = field(default_factory=dict)


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "bert": Shape(BERT),
        "distilbert": Shape(BERT, {"hidden_dim": 64}),
        "roberta": Shape(BYTES, ROBERTA),
        "xlm-roberta": Shape(PIECES, ROBERTA),
        "camembert": Shape(PIECES, ROBERTA),
        "mpnet": Shape(BYTES, ROBERTA),
        "electra": Shape(BERT, {"embedding_size": 16}),
        "albert": Shape(ALBERT, {"embedding_size": 16}),
        "deberta": Shape(
            BYTES,
            {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0},
        ),
        "deberta-v2": Shape(
            ALBERT,
            {
                "relative_attention": True,
                "pos_att_type": ["p2c", "c2p"],
                "position_buckets": 32,
                "norm_rel_ebd": "layer_norm",
                "share_att_key": True,
                "position_biased_input": False,
                "type_vocab_size": 0,
            },
        ),
        "modernbert": Shape(BERT, {"local_attention": 16, "global_attn_every_n_layers": 2}),
        "ernie": Shape(BERT),
        "rembert": Shape(ALBERT, {"input_embedding_size": 16, "output_embedding_size": 16}),
        "nomic_bert": Shape(BERT, {"head_dim": 16}),
        "bart": Shape(BYTES, SEQ2SEQ),
        "mbart": Shape(PIECES, SEQ2SEQ),
        "gpt2": Shape(GPT),
        "gpt_neo": Shape(GPT, {"num_layers": 2, "attention_types": [[["global", "local"], 1]]}),
        "gpt_neox": Shape(GPT),
        "openai-gpt": Shape(GPT),
        "bloom": Shape(GPT),
        "opt": Shape(BYTES, {"ffn_dim": 64, "word_embed_proj_dim": 32}),
        "llama": Shape(LLAMA, DECODER),
        "mistral": Shape(LLAMA, DECODER),
        "gemma": Shape(GEMMA, DECODER),
        "gemma2": Shape(GEMMA, DECODER),
        "qwen2": Shape(QWEN, DECODER),
        "qwen3": Shape(QWEN, DECODER),
        "phi": Shape(GPT, DECODER),
        "phi3": Shape(LLAMA, DECODER),
        "gemma3_text": Shape(GEMMA, DECODER),
        "falcon": Shape(GPT),
        "stablelm": Shape(GPT, DECODER),
        "smollm3": Shape(LLAMA, DECODER),
        "olmo2": Shape(LLAMA, DECODER),
        "modernbert-decoder": Shape(GEMMA),
        "ctrl": Shape(GPT, {"dff": 64}),
        "biogpt": Shape(BYTES),
        "eurobert": Shape(BYTES, DECODER),
        "gte": Shape(BERT),
        "xlm-roberta-xl": Shape(PIECES, ROBERTA),
        "luke": Shape(BYTES, {"entity_vocab_size": 8, "entity_emb_size": 16, **ROBERTA}),
        "yoso": Shape(PIECES, ROBERTA),
        "t5": Shape(T5, T5_SIZES),
        "mt5": Shape(T5, T5_SIZES),
        "umt5": Shape(T5, T5_SIZES),
        "fnet": Shape(ALBERT),
        "longformer": Shape(BYTES, {"attention_window": 16, **ROBERTA}),
        "big_bird": Shape(ALBERT, {"block_size": 8, "num_random_blocks": 1}),
        "roformer": Shape(BERT, {"embedding_size": 32}),
        "convbert": Shape(BERT, {"embedding_size": 16, "conv_kernel_size": 3, "head_ratio": 2}),
        "nystromformer": Shape(ALBERT, {"num_landmarks": 64, "segment_means_seq_len": 64}),
        "megatron-bert": Shape(BERT),
        "squeezebert": Shape(BERT, {"embedding_size": 32}),
        "mobilebert": Shape(
            BERT,
            {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
        ),
        "funnel": Shape(
            BERT,
            {
                "d_model": 32,
                "d_head": 16,
                "n_head": 2,
                "d_inner": 64,
                "block_sizes": [1, 1, 1],
                "num_hidden_layers": None,
            },
        ),
        "xlnet": Shape(
            XLNET,
            {
                "d_model": 32,
                "n_layer": 2,
                "n_head": 2,
                "d_inner": 64,
                "max_position_embeddings": None,
            },
        ),
        "xlm": Shape(XLM, {"emb_dim": 32, "n_layers": 2, "n_heads": 2}),
        "flaubert": Shape(XLM, {"emb_dim": 32, "n_layers": 2, "n_heads": 2}),
        "layoutlm": Shape(BERT, {"max_2d_position_embeddings": 64}),
        "lilt": Shape(PIECES, {"hidden_size": 48, "max_2d_position_embeddings": 64, **ROBERTA}),
        "ibert": Shape(BYTES, ROBERTA),
        "data2vec-text": Shape(BYTES, ROBERTA),
        "xmod": Shape(PIECES, {"languages": ["en_XX"], "default_language": "en_XX", **ROBERTA}),
        "roberta-prelayernorm": Shape(BYTES, ROBERTA),
    }
)
NAMES: tuple[str, ...] = tuple(SHAPES)


def make(name: str, directory: Path, *, seed: int = 3, **config: object) -> Path:
    """Write the checkpoint `name`, one of NAMES; `config` goes over its config.json."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no hint here
    shape = SHAPES[name]
    fast = tokenizer(shape.style)
    sizes = {**SIZES, "vocab_size": len(fast), **shape.config}
    fields: dict[str, Any] = {key: size for key, size in sizes.items() if size is not None}
    for role in {"pad", "bos", "eos", *shape.style.special} - {"unk"}:
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


def tokenizer(style: Style) -> PreTrainedTokenizerFast:
    """A tokenizer of the few WORDS; with bytes or pieces it reads others as well."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    special = list(dict.fromkeys(style.special.values()))
    made = _MODELS[style.model](special, style.special.get("unk"))
    made.add_special_tokens(special)
    if style.single != "$A":
        used = [(token, made.token_to_id(token)) for token in special]
        made.post_processor = processors.TemplateProcessing(
            single=style.single, pair=style.pair, special_tokens=used
        )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no hint here
        tokenizer_object=made,
        padding_side=style.padding_side,
        **{f"{role}_token": token for role, token in style.special.items()},
    )


def _words(special: list[str], unknown: str | None) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces = {piece: place for place, piece in enumerate([*special, *WORDS])}
    made = Tokenizer(models.WordLevel(pieces, unk_token=unknown or special[0]))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def _bytes(special: list[str], unknown: str | None) -> Tokenizer:  # noqa: ARG001 # no byte is unknown
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.trainers import BpeTrainer

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator([" ".join(WORDS)], trainer)
    return made


def _pieces(special: list[str], unknown: str | None) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    letters = sorted(set("".join(WORDS)) | {"▁"})
    pieces = [*special, *(f"▁{word}" for word in WORDS), *letters]
    scores = [(piece, -float(place)) for place, piece in enumerate(dict.fromkeys(pieces))]
    made = Tokenizer(models.Unigram(scores, special.index(unknown or special[0])))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    return made


_MODELS = {"words": _words, "bytes": _bytes, "pieces": _pieces}
