"""shrink-model: a smaller checkpoint answers like its source, or nothing is written."""

from __future__ import annotations

import json
import os
import random
import signal
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.models import architectures
from compress import distil, pack
from compress.shrink import main
from model_handler import Limits, artifacts, tokens
from model_handler.engines import Model, torch_engine
from tests.compress.test_stops import stopped

TEXTS = [
    " ".join(random.Random(number).choices(architectures.WORDS[:20], k=2 + number % 7))
    for number in range(60)
]
OTHERS = ["zip broke darker", "nobody answers my mails", ""]
ANY = ["--gate", "agreement=0"]


def write(path: Path, **labels: object) -> Path:
    rows = ({"text": text, **labels} for text in TEXTS)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def one_cpu() -> Iterator[None]:
    """Compute with one thread: others would only wait for each other, so small are the models."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of texts without labels."""
    return write(tmp_path_factory.mktemp("texts") / "texts.jsonl")


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BERT of four layers."""
    return architectures.make("bert", tmp_path_factory.mktemp("deep") / "bert", num_hidden_layers=4)


def opened(directory: Path) -> Model:
    return torch_engine.open_model(directory, Limits(1))


def logits(model: Model, wanted: list[str]) -> np.ndarray:
    batch = tokens.pad(tokens.encode(model.tokenizer, wanted), model.pad_id)
    return model.engine.logits(batch)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    assert stop.value.code == 1
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "name",
    ["bert", "roberta", "xlm-roberta", "distilbert", "mpnet", "electra", "deberta", "deberta-v2"],
)
def test_a_smaller_checkpoint_packs_and_answers_texts_it_has_pieces_for(
    name: str, tmp_path: Path, texts: Path
) -> None:
    directory = architectures.make(name, tmp_path / name, num_hidden_layers=3)
    main([str(directory), str(tmp_path / "same"), "--data", str(texts)])
    before, same = opened(directory), opened(tmp_path / "same")
    assert same.tokenizer.get_vocab_size() < before.tokenizer.get_vocab_size()
    assert np.array_equal(logits(same, TEXTS), logits(before, TEXTS))
    assert np.isfinite(logits(same, OTHERS)).all()
    size = ["--layers", "2", "--ffn", "40", "--epochs", "1", *ANY]
    main([str(tmp_path / "same"), str(tmp_path / "small"), "--data", str(texts), *size])
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    assert config.get("n_layers", config.get("num_hidden_layers")) == 2
    assert config.get("hidden_dim", config.get("intermediate_size")) == 40
    assert np.isfinite(logits(opened(tmp_path / "small"), TEXTS)).all()


def test_a_smaller_checkpoint_packs(tmp_path: Path, deep: Path, texts: Path) -> None:
    small, packed = tmp_path / "small", tmp_path / "packed"
    size = ["--layers", "2", "--ffn", "40", "--epochs", "0", *ANY]
    main([str(deep), str(small), "--data", str(texts), *size])
    pack.pack(small, packed, lambda _: None, portable_only=True)
    answers = logits(artifacts.open_model(packed, Limits(1)), TEXTS)
    assert abs(answers - logits(opened(small), TEXTS)).max() < 0.3


def test_what_is_left_learns_the_answers_again(tmp_path: Path, deep: Path, texts: Path) -> None:
    wanted = logits(opened(deep), TEXTS)
    errors = []
    for epochs in ("0", "12"):
        out = tmp_path / epochs
        size = ["--layers", "2", "--learning-rate", "1e-3", "--epochs", epochs, *ANY]
        main([str(deep), str(out), "--data", str(texts), *size])
        errors.append(float(abs(logits(opened(out), TEXTS) - wanted).mean()))
    assert errors[1] < 0.85 * errors[0]


def test_batches_to_learn_from_have_few_widths() -> None:
    rows = [tokens.Row(array("i", [1] * length)) for length in range(101)]
    batches = [distil.training_batch(rows, [place], pad_id=0) for place in range(101)]
    widths = [batch.ids.shape[1] for batch in batches]
    assert set(widths) == {1, 16, 32, 48, 64, 80, 96, 100}  # no model must read more than 100
    assert all(width >= len(row) for width, row in zip(widths, rows, strict=True))


def test_a_run_can_be_repeated(tmp_path: Path, deep: Path, texts: Path) -> None:
    for name in ("one", "other"):
        size = ["--layers", "3", "--epochs", "1", "--seed", "5", *ANY]
        main([str(deep), str(tmp_path / name), "--data", str(texts), *size])
    one, other = (logits(opened(tmp_path / name), TEXTS) for name in ("one", "other"))
    assert abs(one - other).max() < 1e-3


def test_another_encoder_learns_from_a_teacher_with_its_own_order_of_labels(
    tmp_path: Path, deep: Path
) -> None:
    start = architectures.make("mpnet", tmp_path / "start")
    names = {0: "1", 1: "-1", 2: "0"}
    teacher = architectures.make("electra", tmp_path / "teacher", id2label=names)
    texts = write(tmp_path / "texts.jsonl", label=1)
    options = ["--start", start, "--teacher", teacher, "--epochs", "5", "--label-weight", "0.1"]
    out = tmp_path / "out"
    rest = ["--learning-rate", "1e-2", "--validate", texts, "--no-labels", *ANY]
    main(list(map(str, [deep, out, "--data", texts, *options, *rest])))
    found = opened(out)
    assert json.loads((out / "config.json").read_text())["model_type"] == "mpnet"
    assert found.labels == (-1, 0, 1)
    order = [1, 2, 0]
    wanted = logits(opened(teacher), TEXTS)[:, order].argmax(axis=1)
    assert (logits(found, TEXTS).argmax(axis=1) == wanted).mean() > 0.6


@pytest.mark.parametrize(
    ("problem_type", "labels", "label", "right"),
    [
        (
            "single_label_classification",
            3,
            "LABEL_2",
            lambda found: found[:, 2] - found.mean(axis=1),
        ),
        ("multi_label_classification", 2, ["LABEL_1"], lambda found: found[:, 1] - found[:, 0]),
        ("regression", 2, [0.5, 1.5], lambda found: -abs(found - [0.5, 1.5])),
        (None, 1, 0.5, lambda found: -abs(found - 0.5)),
    ],
)
def test_a_student_of_each_task_learns_from_labels_too(
    problem_type: str | None,
    labels: int,
    label: object,
    right: Callable[[np.ndarray], np.ndarray],
    tmp_path: Path,
) -> None:
    config: dict[str, Any] = {"problem_type": problem_type, "num_labels": labels}
    directory = architectures.make("bert", tmp_path / "bert", **config)
    data = write(tmp_path / "texts.jsonl", label=label)
    found = []
    for weight in ("1e-9", "1"):
        out = tmp_path / weight
        options = ["--layers", "1", "--epochs", "20", "--learning-rate", "5e-3"]
        proof = ["--validate", str(data), "--no-labels", *ANY]
        main(
            [
                str(directory),
                str(out),
                "--data",
                str(data),
                *options,
                *proof,
                "--label-weight",
                weight,
            ]
        )
        found.append(right(logits(opened(out), TEXTS)).mean())
    assert found[1] > found[0]


def test_a_worse_student_is_refused_and_nothing_is_left(
    tmp_path: Path, deep: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a" / "out"
    size = ["--layers", "1", "--epochs", "0", "--gate", "agreement=1"]
    line = refused(capsys, deep, out, "--data", texts, *size)
    assert line.startswith("shrink-model: agreement is 0.")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_leaves_nothing_behind(tmp_path: Path, deep: Path, texts: Path) -> None:
    arguments = [deep, tmp_path / "a" / "out", "--data", texts, "--layers", "2", "--epochs", "999"]
    code, line = stopped(arguments, "distil", signal.SIGINT, module="compress.shrink")
    assert (code, line) == (130, "shrink-model: stopped by SIGINT; nothing is left behind")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "good"}\n{"review": "bad"}\n', 'line 2: no "text"'),
        (b'{"text": "good"}\n\n{"text": "\xff"}\n', "line 3: not UTF-8"),
        (b'{"text": "good", "label": 7}\n', "line 1: label 7 is none of the model's"),
        (b'{"text": "good", "label": 1}\n{"text": "bad"}\n', 'line 2: no "label"'),
        (b"good\n", "line 1: not JSON"),
        (b"\n", "is empty"),
    ],
)
def test_a_wrong_line_is_named(
    tmp_path: Path,
    deep: Path,
    content: bytes,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = tmp_path / "texts.jsonl", tmp_path / "out"
    data.write_bytes(content)
    assert message in refused(capsys, deep, out, "--data", data, "--layers", "2")
    assert list(tmp_path.iterdir()) == [data]


def test_what_cannot_be_shrunk_is_said(
    tmp_path: Path, deep: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = ("--data", texts), tmp_path / "out"
    albert = architectures.make("albert", tmp_path / "albert")
    assert "albert cannot be shrunk: its layers share weights" in refused(
        capsys, albert, out, *data
    )
    line = refused(capsys, deep, out, *data, "--layers", "5")
    assert line == "shrink-model: --layers 5 is more than the 4 of the model"
    line = refused(capsys, deep, out, *data, "--ffn", "65")
    assert line == "shrink-model: --ffn 65 is more than the 64 of the model"
    others = architectures.make("bert", tmp_path / "others", id2label={0: "no", 1: "yes"})
    line = refused(capsys, deep, out, *data, "--layers", "2", "--teacher", others)
    assert "name a teacher with the same" in line
    with pytest.raises(SystemExit) as stop:
        main([str(deep), str(out), *map(str, data), "--keep-vocabulary"])
    assert stop.value.code == 2
    assert not out.exists()
