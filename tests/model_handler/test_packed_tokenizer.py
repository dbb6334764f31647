"""The first texts are encoded before the tokenizer is open, and as it encodes them."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from pathlib import Path

import pytest

from benchmarks.models import architectures
from compress import early_tokenizer
from model_handler import Handler, Limits, State, artifacts, tokens
from model_handler import manifest as manifests
from model_handler.engines.packed_tokenizer import EarlyTokenizer, open_whole
from model_handler.tokens import Text
from tests.conftest import BUNDLED
from tests.interpreter import run_without

PLAIN = ("I love this product!", "", "it's  not 'good', is it?", "No. 10 of 12 (or so) & more")
ODD: tuple[Text, ...] = (
    "a tab\t's end",
    "two\nlines",
    "Été à Paris 😀",
    "a [MASK] in it",
    "good " * 500,
    ("a question", "and a passage"),
)

PREDICT = """
import sys
from pathlib import Path
from model_handler import Handler
found = Handler(Path(sys.argv[1])).predict(sys.argv[2:])
print([prediction.predicted_label for prediction in found])
"""


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the bundled model with an early tokenizer, which itself it has not."""
    directory = Path(shutil.copytree(BUNDLED, tmp_path_factory.mktemp("early") / "model"))
    found = early_tokenizer.write(directory, 128)
    assert found is not None
    manifest = manifests.read(directory)
    files = manifest.files | manifests.describe(directory / found.file)
    manifest._replace(early=found, files=files).write(directory)
    return directory


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of it that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def early(directory: Path) -> EarlyTokenizer:
    encoder = artifacts.open_model(directory, Limits()).encoder
    assert isinstance(encoder, EarlyTokenizer)
    return encoder


def settle(handler: Handler) -> None:
    handler.predict(PLAIN)
    for thread in threading.enumerate():
        if thread.name == "settle-model":
            thread.join()


@pytest.mark.parametrize("texts", [PLAIN, *((text,) for text in ODD), (*PLAIN, *ODD)])
def test_each_text_is_encoded_as_by_the_tokenizer(whole: Path, texts: tuple[Text, ...]) -> None:
    expected = tokens.encode(open_whole(whole, manifests.read(whole)), texts)
    assert tokens.encode(early(whole), texts) == expected


def test_plain_texts_need_no_tokenizers(whole: Path) -> None:
    found = run_without({"tokenizers"}, PREDICT, whole, "I love it", "it broke, never again")
    assert found.stdout == "[1, -1]\n"


def test_without_tokie_the_tokenizer_is_opened_at_once(whole: Path) -> None:
    found = run_without({"tokie"}, PREDICT, whole, "I love it", "it broke, never again")
    assert found.stdout == "[1, -1]\n"
    assert "the early tokenizer is not used: No module named tokie" in found.stderr


def test_a_file_of_another_format_is_left_alone(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = model / early_tokenizer.FILE
    path.write_bytes(b"something else")
    manifest = manifests.read(model)
    fields = json.loads((model / manifests.NAME).read_text())
    fields["files"][path.name] = manifests.describe(path)[path.name]._asdict()
    (model / manifests.NAME).write_text(json.dumps(fields))
    assert Handler(model).predict(["I love it"]) == Handler(BUNDLED).predict(["I love it"])
    assert "the early tokenizer is not used" in caplog.text
    assert manifest.early is not None


def test_a_text_that_was_encoded_otherwise_is_told_of(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = model / "tokenizer.json"
    fields = json.loads(path.read_text())
    vocabulary = fields["model"]["vocab"]
    vocabulary["love"], vocabulary["hate"] = vocabulary["hate"], vocabulary["love"]
    path.write_text(json.dumps(fields))
    manifest = json.loads((model / manifests.NAME).read_text())
    manifest["files"][path.name] = manifests.describe(path)[path.name]._asdict()
    (model / manifests.NAME).write_text(json.dumps(manifest))
    handler = Handler(model)
    settle(handler)
    assert handler.status.state is State.READY
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage().startswith("1 of the first 4 texts were not encoded as")


@pytest.mark.parametrize(("style", "alike"), [("bytes", True), ("gpt", True), ("pieces", False)])
def test_it_is_written_for_a_tokenizer_that_it_encodes_like(
    tmp_path: Path, style: str, alike: bool
) -> None:
    made = architectures.tokenizer(architectures.TABLES["tokenizers"][style])
    made.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert (early_tokenizer.write(tmp_path, 128) is not None) is alike
    assert (tmp_path / early_tokenizer.FILE).exists() is alike


def test_a_model_of_format_3_is_served(model: Path) -> None:
    path = model / manifests.NAME
    fields = json.loads(path.read_text())
    del fields["early"]
    del fields["files"][early_tokenizer.FILE]
    for file in fields["files"].values():
        del file["crc32"]
    path.write_text(json.dumps(fields | {"format_version": 3}))
    handler = Handler(model)
    assert handler.predict(["I love it"]) == Handler(BUNDLED).predict(["I love it"])
