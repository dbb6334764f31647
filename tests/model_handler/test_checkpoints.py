"""Plain checkpoints are served as transformers itself would, or refused with what to do."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.models import architectures
from model_handler import (
    Handler,
    Labels,
    Limits,
    ModelError,
    Options,
    Pairs,
    ProblemType,
    Values,
    artifacts,
)
from model_handler.engines import Model
from model_handler.errors import LogitError
from model_handler.tokens import Text
from serve import create_app
from serve.settings import Settings
from tests.interpreter import run_without


def open_model(directory: Path, options: Options | None = None) -> Model:
    return artifacts.open_model(directory, Limits(), options)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def copy(checkpoint: Path, directory: Path) -> Path:
    shutil.copytree(checkpoint, directory)
    return directory


def edit_weights(directory: Path, name: str, change: Callable[[Any], object]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(directory / "model.safetensors")
    change(weights[name])
    save_file(weights, directory / "model.safetensors", {"format": "pt"})


def values(handler: Handler, *texts: Text) -> np.ndarray:
    """Return the logits of a model of values, which answers with them as they are."""
    found = handler.predict(texts)
    return np.array(
        [list(one.predicted_values.values()) for one in found if isinstance(one, Values)]
    )


def transformers_logits(directory: Path, *texts: Text) -> np.ndarray:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    found = []
    for text in texts:
        pair = (text,) if isinstance(text, str) else text
        encoded = tokenizer(*pair, return_tensors="pt", return_token_type_ids=True)
        with torch.inference_mode():
            found.append(model(**encoded).logits[0].numpy())
    return np.stack(found)


# Tasks


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ProblemType.ONE_LABEL),
        ({"num_labels": 1}, ProblemType.VALUES),
        ({"problem_type": "multi_label_classification"}, ProblemType.SEVERAL_LABELS),
        (
            {"problem_type": "multi_label_classification", "num_labels": 1},
            ProblemType.SEVERAL_LABELS,
        ),
        ({"problem_type": "regression"}, ProblemType.VALUES),
    ],
)
def test_the_task_is_what_config_json_says_or_what_transformers_makes_of_its_labels(
    tmp_path: Path, config: dict[str, Any], expected: ProblemType
) -> None:
    directory = architectures.make("bert", tmp_path / "model", **config)
    assert open_model(directory).problem_type is expected


def test_several_labels_and_a_value_are_read_off_the_logits(tmp_path: Path) -> None:
    text = "I love this product!"
    several = architectures.make("bert", tmp_path / "s", problem_type="multi_label_classification")
    (logits,) = transformers_logits(several, text)
    (found,) = Handler(several).predict([text])
    assert isinstance(found, Labels)
    assert list(found.scores.values()) == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-5)
    one = architectures.make("bert", tmp_path / "one", num_labels=1)
    assert values(Handler(one), text) == pytest.approx(transformers_logits(one, text), abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem_type": "ranking"}, "problem_type 'ranking'; it must be one of single_label"),
        (
            {"id2label": {"0": "a", "1": "a", "2": "b"}},
            "two labels with the name 'a'; rename one",
        ),
        (
            {"quantization_config": {"quant_method": "awq"}},
            r"quantised weights \(awq\), .* use the",
        ),
        (
            {"quantization_config": {"load_in_4bit": True}},
            r"quantised weights \(of an unknown kind",
        ),
    ],
)
def test_a_config_that_cannot_be_served_is_refused(
    tmp_path: Path, checkpoint: Path, changes: dict[str, object], message: str
) -> None:
    directory = copy(checkpoint, tmp_path / "model")
    edit(directory / "config.json", **changes)
    with pytest.raises(ModelError, match=message):
        open_model(directory)


def test_one_label_of_one_is_refused(tmp_path: Path) -> None:
    directory = architectures.make("bert", tmp_path / "model", num_labels=1)
    edit(directory / "config.json", problem_type="single_label_classification")
    with pytest.raises(ModelError, match=r"probability 1\.0 for every text: set it to regression"):
        open_model(directory)


# Length


@pytest.mark.parametrize(
    ("name", "positions", "expected"),
    [
        ("bert", 100, 100),
        ("roberta", 102, 100),
        ("mpnet", 102, 100),
        ("longformer", 102, 100),
        ("deberta-v2", 100, 512),
        ("xlnet", None, 512),
        ("t5", None, 512),
        ("opt", 100, 100),
    ],
)
def test_texts_are_cut_where_the_positions_end(
    tmp_path: Path, name: str, positions: int | None, expected: int
) -> None:
    config = {"max_position_embeddings": positions} if positions else {}
    model = open_model(architectures.make(name, tmp_path / "model", **config))
    assert model.max_length == expected
    assert len(model.tokenizer.encode("good " * 600).ids) == expected


def test_max_length_is_obeyed_up_to_the_positions_and_then_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    directory = architectures.make("roberta", tmp_path / "model", max_position_embeddings=102)
    handler = Handler(directory, options=Options(max_length=20))
    assert handler.score(["good " * 50]).usage.tokens == 20
    assert "single_label_classification, texts cut to 20 tokens, labels -1, 0, 1" in caplog.text
    with pytest.raises(ModelError, match="MAX_LENGTH is 101, and the model has 100 positions"):
        open_model(directory, Options(max_length=101))
    with pytest.raises(ModelError, match="would be 5; this tokenizer needs 6 or more"):
        open_model(directory, Options(max_length=5))


def test_a_packed_model_keeps_to_its_manifest_and_says_so(
    packed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = open_model(packed)
    found = open_model(packed, Options(7, Pairs.FEATURES))
    assert (found.max_length, found.pairs) == (plain.max_length, plain.pairs)
    assert "MAX_LENGTH=7 is not used" in caplog.text
    assert "TEXT_PAIRS=1 is not used" in caplog.text


# Pairs


@pytest.mark.parametrize("name", ["bert", "roberta", "xlnet", "deberta"])
def test_a_pair_is_answered_as_by_transformers_with_token_types(tmp_path: Path, name: str) -> None:
    directory = architectures.make(name, tmp_path / "model", problem_type="regression")
    if name == "xlnet":  # as its own tokenizer names them
        named = ["input_ids", "token_type_ids", "attention_mask"]
        edit(directory / "tokenizer_config.json", model_input_names=named)
    pairs = [("good zip", "bad zip"), ("good zip bad", "zip"), ("i love it", "not great at all")]
    found = values(Handler(directory, options=Options(pairs=Pairs.FEATURES)), *pairs)
    assert found == pytest.approx(transformers_logits(directory, *pairs), abs=1e-3)


def test_pairs_are_refused_where_nothing_stands_between_the_texts(tmp_path: Path) -> None:
    directory = architectures.make("gpt2", tmp_path / "model")
    assert open_model(directory).pairs is Pairs.REFUSED
    with pytest.raises(ModelError, match="puts nothing between the texts of a pair"):
        open_model(directory, Options(pairs=Pairs.FEATURES))


# Weights and tokens


def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path, checkpoint: Path) -> None:
    directory = copy(checkpoint, tmp_path / "model")
    name = "bert.encoder.layer.1.output.dense.bias"
    edit_weights(directory, name, lambda weights: weights[3:4].fill_(float("inf")))
    with pytest.raises(ModelError, match=rf"no numbers \(NaN or infinite\) in {name}: take"):
        open_model(directory)


def test_a_text_that_makes_the_model_overflow_is_not_answered(
    tmp_path: Path, checkpoint: Path
) -> None:
    directory = copy(checkpoint, tmp_path / "model")
    embeddings = "bert.embeddings.word_embeddings.weight"
    edit_weights(directory, embeddings, lambda weights: weights[4].fill_(3e38))  # [MASK]
    handler = Handler(directory)
    assert len(handler.predict(["fine"])) == 1
    with pytest.raises(LogitError):
        handler.predict(["fine", "[MASK]"])
    assert len(handler.predict(["fine"])) == 1
    client = create_app(Settings(model_dir=directory)).test_client()
    answer = client.post("/invocations", data=b'{"features": ["[MASK]"]}\n')
    assert (answer.status_code, b"NaN" in answer.data) == (500, False)


def test_a_token_without_an_embedding_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    from transformers import AutoTokenizer

    directory = copy(checkpoint, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.add_tokens(["sneaker"])
    tokenizer.save_pretrained(directory)
    with pytest.raises(
        ModelError, match=r"token 'sneaker' \(id \d+\).*call model\.resize_token_emb"
    ):
        open_model(directory)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "safetensors shards", "bin shards"])
def test_weights_in_other_forms_are_served_alike(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    caplog.set_level(logging.INFO)
    directory = architectures.make("bert", tmp_path / "model", problem_type="regression")
    expected = values(Handler(directory), "I love this product!")
    model: Any = AutoModelForSequenceClassification.from_pretrained(directory)
    if kind == "bin shards":
        weights = load_file(directory / "model.safetensors")
        (directory / "model.safetensors").unlink()
        names = sorted(weights)
        places = {
            name: f"pytorch_model-0000{1 + place % 2}.bin" for place, name in enumerate(names)
        }
        for file in set(places.values()):
            torch.save({n: weights[n] for n in names if places[n] == file}, directory / file)
        index = {"metadata": {}, "weight_map": places}
        (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    elif kind == "safetensors shards":
        (directory / "model.safetensors").unlink()
        model.save_pretrained(directory, max_shard_size="50KB")
        assert (directory / "model.safetensors.index.json").exists()
    else:
        model.to(getattr(torch, kind)).save_pretrained(directory)
    found = values(Handler(directory), "I love this product!")
    assert found == pytest.approx(expected, abs=0.2 if kind.endswith("16") else 1e-5)
    if kind.endswith("16"):
        assert f"stored in {kind} and served in float32" in caplog.text


def test_without_torch_one_line_says_what_to_do(checkpoint: Path) -> None:
    code = "import sys; from model_handler import Handler; from pathlib import Path\n"
    code += "Handler(Path(sys.argv[1])).predict(['fine'])"
    found = run_without({"torch"}, code, checkpoint)
    last = found.stderr.splitlines()[-1]
    assert "is a plain checkpoint, which needs torch and transformers" in last
    assert "pip install 'sagemaker-serverless-sentiment[torch]'" in last


# What is there instead


def only(*names: str) -> Callable[[Path], object]:
    """Keep config.json, and these files, empty, in the place of all others."""

    def spoil(directory: Path) -> None:
        for path in directory.iterdir():
            if path.name != "config.json":
                path.unlink()
        for name in names:
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).touch()

    return spoil


def no_tokenizer(*names: str) -> Callable[[Path], object]:
    def spoil(directory: Path) -> None:
        for path in directory.glob("tokenizer*"):
            path.unlink()
        for name in names:
            (directory / name).write_text("{}")

    return spoil


def embeddings_only(directory: Path) -> None:
    edit(directory / "config.json", architectures=["BertModel"])
    (directory / "modules.json").touch()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            only("adapter_config.json", "adapter_model.safetensors"),
            "LoRA adapter.*merge_and_unload",
        ),
        (lambda d: (d / "adapter_config.json").touch(), "LoRA adapter.*merge_and_unload"),
        (only("model.onnx", "tokenizer.json"), "model.onnx is an ONNX export without the manifest"),
        (
            only("tf_model.h5", "tokenizer.json"),
            "tf_model.h5 is for TensorFlow: save it for PyTorch",
        ),
        (only("flax_model.msgpack", "vocab.txt"), "flax_model.msgpack is for Flax: save it for"),
        (
            embeddings_only,
            "modules.json is a model of sentence-transformers, which gives embeddings",
        ),
        (no_tokenizer("spiece.model"), "has spiece.model but no tokenizer.json; make one"),
        (no_tokenizer("sentencepiece.bpe.model"), "AutoTokenizer.from_pretrained.*save_pretrained"),
        (no_tokenizer("spm.model"), "has spm.model but no tokenizer.json; make one"),
        (no_tokenizer("vocab.json"), "vocab.json but no merges.txt"),
        (
            lambda d: edit(d / "tokenizer_config.json", tokenizer_class="XLMTokenizer"),
            "is saved as tokenizer.json|no fast tokenizer",
        ),
        (lambda d: edit(d / "config.json", model_type="bertt"), "transformers cannot open"),
        (lambda d: edit(d / "config.json", hidden_size="much"), "transformers cannot open"),
        (lambda d: (d / "tokenizer.json").write_text("{}"), "transformers cannot open"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(
    tmp_path: Path, checkpoint: Path, spoil: Callable[[Path], object], message: str
) -> None:
    directory = copy(checkpoint, tmp_path / "model")
    spoil(directory)
    with pytest.raises(ModelError, match=message) as caught:
        open_model(directory)
    said = str(caught.value)
    assert "\n" not in said
    assert "pip install transformers" not in said
    assert not any(word.endswith(("Error", "Exception")) for word in said.replace(":", " ").split())


def test_a_vocabulary_without_tokenizer_json_is_read_by_the_models_own_tokenizer(
    tmp_path: Path, checkpoint: Path
) -> None:
    directory = copy(checkpoint, tmp_path / "model")
    expected = open_model(checkpoint).tokenizer
    vocabulary = expected.get_vocab()
    for path in directory.glob("tokenizer*"):
        path.unlink()
    (directory / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    found = open_model(directory).tokenizer
    text = "This is NOT the right product."
    assert found.encode(text).ids == expected.encode(text).ids


def test_an_architecture_that_cannot_run_short_texts_is_refused(tmp_path: Path) -> None:
    directory = architectures.make("funnel", tmp_path / "model")
    with pytest.raises(ModelError, match="cannot run texts of 2 tokens"):
        open_model(directory)
