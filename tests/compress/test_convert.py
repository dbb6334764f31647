"""Checkpoints of every architecture are converted and answer alike, or are refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.models.architectures import make
from compress import probe
from compress.convert import PackOptions, convert
from model_handler import Limits, ModelError, artifacts, manifest, tokens
from model_handler.engines import Model
from model_handler.tokens import Pairs, Text

ARCHITECTURES = (
    "albert bert camembert deberta deberta-v2 distilbert electra ernie modernbert mpnet nomic_bert "
    "rembert roberta xlm-roberta "
    # Not asked for as often, each with an attention of its own.
    "big_bird convbert qwen2 roformer"
).split()
FUSED = {
    "bert",
    "big_bird",
    "camembert",
    "distilbert",
    "electra",
    "ernie",
    "rembert",
    "roberta",
    "xlm-roberta",
}
LENGTH = 40  # short of where BigBird changes over to sparse attention
TEXTS = (
    "never again, it broke on day one and nobody answers",
    "good",
    "it was cheap but the colour is not the one in the picture " * 6,
)


def converted(checkpoint: Path, folder: Path, options: PackOptions | None = None) -> Path:
    """Return the folder of a packed model."""
    made, scratch = folder / "made", folder / "scratch"
    made.mkdir(parents=True)
    scratch.mkdir()
    convert(checkpoint, made, scratch, lambda _: None, options or PackOptions(LENGTH))
    return made


def both(checkpoint: Path, made: Path) -> tuple[Model, Model]:
    """Return the checkpoint, which cuts texts as the packed model does, and the packed model."""
    plain, packed = (artifacts.open_model(each, Limits()) for each in (checkpoint, made))
    plain.tokenizer.enable_truncation(packed.max_length)
    return plain, packed


def logits(model: Model, *texts: Text) -> np.ndarray:
    """Return the logits of some texts in one batch."""
    rows = tokens.encode(model.tokenizer, texts)
    return model.engine.logits(tokens.pad(rows, model.pad_id))


def operators(made: Path) -> Counter[str]:
    import onnx

    nodes = onnx.load(made / "model.onnx", load_external_data=False).graph.node
    return Counter(node.op_type for node in nodes)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_answers_like_its_checkpoint_alone_and_in_a_batch(
    tmp_path: Path, name: str
) -> None:
    checkpoint = make(name, tmp_path / name)
    made = converted(checkpoint, tmp_path)
    plain, packed = both(checkpoint, made)
    expected = np.concatenate([logits(plain, text) for text in TEXTS])
    alone = np.concatenate([logits(packed, text) for text in TEXTS])
    assert np.abs(alone - expected).max() <= 2 * probe.TOLERANCE  # these are other texts
    if not packed.equal_lengths:
        assert np.abs(logits(packed, *TEXTS) - alone).max() <= probe.ROUNDING
    assert packed.equal_lengths == plain.equal_lengths == (name == "convbert")
    found = operators(made)
    assert found["MatMulIntegerToFloat"] + found["MatMulNBits"] >= 9
    assert (found["MultiHeadAttention"] == 2) == (name in FUSED)


@pytest.mark.parametrize(("tolerance", "operator"), [(0.1, "MatMulNBits"), (0.004, "MatMul")])
def test_weights_that_make_it_drift_are_kept_wider_and_said(
    tmp_path: Path, tolerance: float, operator: str
) -> None:
    checkpoint = make("bert", tmp_path / "bert")
    made = converted(checkpoint, tmp_path, PackOptions(LENGTH, tolerance=tolerance))
    plain, packed = both(checkpoint, made)
    assert np.abs(probe.logits(plain) - probe.logits(packed)).max() <= tolerance
    assert operators(made)[operator]  # int8 alone has none
    wide = manifest.read(made).source["wide"]
    assert "bert.encoder.layer." in wide
    assert "ms for 16 tokens" in wide
    assert wide in (made / "README.md").read_text()


def test_only_the_worst_weights_are_wider(tmp_path: Path) -> None:
    made = converted(make("bert", tmp_path / "bert"), tmp_path, PackOptions(LENGTH, tolerance=0.1))
    found = operators(made)
    assert found["MatMulNBits"]
    assert found["MatMulIntegerToFloat"]


def test_logits_that_are_close_may_move_by_less() -> None:
    spread = np.array([[0.0, 1.0], [0.12, 1.05]], np.float32)
    assert probe.Reference((), spread).allowed() == pytest.approx(0.012)
    assert probe.Reference((), 100 * spread).allowed() == probe.TOLERANCE
    assert probe.Reference((), 100 * spread).allowed(0.7) == 0.7


def test_nothing_but_a_refusal_is_left_where_no_form_helps(tmp_path: Path) -> None:
    checkpoint = make("bert", tmp_path / "bert")
    with pytest.raises(probe.DriftError, match=r"0\.000 is allowed.*serve the checkpoint itself"):
        converted(checkpoint, tmp_path, PackOptions(LENGTH, tolerance=0.0))


def test_token_types_tell_the_second_text_of_a_pair(tmp_path: Path) -> None:
    checkpoint = make("bert", tmp_path / "bert")
    made = converted(checkpoint, tmp_path, PackOptions(LENGTH, pairs=True))
    plain, packed = both(checkpoint, made)
    pair = ("does it fit", "it fits and it was cheap")
    assert packed.pairs is Pairs.FEATURES
    assert np.abs(logits(packed, pair) - logits(plain, pair)).max() <= probe.TOLERANCE
    (row,) = tokens.encode(packed.tokenizer, [pair])
    assert row.types is not None
    typed = tokens.pad([row], packed.pad_id)
    untyped = tokens.Batch(typed.ids, typed.mask, np.zeros_like(typed.types))
    answers = [packed.engine.logits(batch) for batch in (typed, untyped)]
    assert np.abs(answers[0] - answers[1]).max() > probe.ROUNDING


def test_padding_that_changes_answers_is_found(tmp_path: Path) -> None:
    made = converted(make("gpt2", tmp_path / "gpt2"), tmp_path)
    assert manifest.read(made).equal_lengths


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fnet", "fft"),
        ("bart", "texts beside it"),
    ],
)
def test_what_cannot_be_packed_is_refused_in_one_line(
    tmp_path: Path, name: str, reason: str
) -> None:
    checkpoint = make(name, tmp_path / name)
    with pytest.raises(ModelError, match=r"serve the checkpoint itself") as refusal:
        converted(checkpoint, tmp_path, PackOptions(LENGTH))
    assert reason in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_weight_that_is_no_number_is_refused_by_its_name(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    checkpoint = make("bert", tmp_path / "bert")
    weights = load_file(checkpoint / "model.safetensors")
    weights["bert.embeddings.word_embeddings.weight"][-1, 0] = float("inf")
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"embeddings\.word_embeddings\.weight"):
        converted(checkpoint, tmp_path)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_packed(tmp_path: Path, kind: str) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    checkpoint = make("bert", tmp_path / "bert")
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    model.to(getattr(torch, kind)).save_pretrained(checkpoint)
    made = converted(checkpoint, tmp_path)
    assert manifest.read(made).max_length == LENGTH
