"""Real parts to test with: the bundled model and a tiny checkpoint, made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from model_handler import Handler, Prediction, artifacts

# A busy machine is slow, which is no fault of a test.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = artifacts.default_dir()
BLOG = (
    b'{"features": ["I love this product!"]}\n'
    b'{"features": ["OK, but not great."]}\n'
    b'{"features": ["This is not the right product."]}\n'
)
WORDS = "i love this product ok but not great is the right a it and good bad zip broke".split()


def make_checkpoint(directory: Path, architecture: str = "bert", **overrides: object) -> Path:
    """A seeded random checkpoint of two small layers, as save_pretrained writes it.

    `overrides` are fields of its config.json.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {token: index for index, token in enumerate([*special, *WORDS, "!", ",", "."])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no hint
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    common = {"vocab_size": len(vocabulary), "pad_token_id": 1, "initializer_range": 0.3}
    # Each family has names of its own for the same sizes.
    if architecture == "distilbert":
        sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2}
    else:
        sizes = {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 514 if architecture == "roberta" else 512,
        }
    fields = {**common, **sizes, "id2label": {0: "-1", 1: "0", 2: "1"}, **overrides}
    torch.manual_seed(3)
    config = AutoConfig.for_model(architecture, **fields)
    model = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]  # the same
        config
    )
    model.save_pretrained(directory)
    fast.save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT checkpoint. Read it only."""
    directory = make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny-bert")
    for path in (directory, *directory.iterdir()):
        path.chmod(0o755)  # as the platform unpacks an archive: for any user
    return directory


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The tiny checkpoint, packed. Read it only."""
    from compress.pack import pack

    out = tmp_path_factory.mktemp("packed") / "tiny"
    pack(checkpoint, out, lambda _: None)
    return out


def packed_as(directory: Path, packed: Path, **fields: object) -> Path:
    """A copy of a packed model whose manifest has other fields, such as another problem_type."""
    shutil.copytree(packed, directory)
    manifest = directory / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | fields))
    return directory


def labelled(handler: Handler, *texts: str) -> list[Prediction]:
    """The predictions of a model that gives each text one label."""
    found = handler.predict(texts)
    return [one for one in found if isinstance(one, Prediction)]


def lines(body: bytes) -> list[dict[str, object]]:
    """The JSON Lines of an answer, each of which must be ended by a newline."""
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body.split(b"\n")[:-1]]
