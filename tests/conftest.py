"""Real parts to test with: the bundled model and a tiny checkpoint, made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.models import architectures
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


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT checkpoint. Read it only."""
    directory = architectures.make("bert", tmp_path_factory.mktemp("checkpoint") / "tiny-bert")
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
