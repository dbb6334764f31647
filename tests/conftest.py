"""Share real parts among all tests: the bundled model, and a tiny checkpoint that is made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.models import architectures
from model_handler import Handler, Prediction, artifacts

# On a busy machine a test may be slow without being wrong.
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
    """Return a tiny BERT checkpoint, which no test may change."""
    directory = architectures.make("bert", tmp_path_factory.mktemp("checkpoint") / "tiny-bert")
    for path in (directory, *directory.iterdir()):
        path.chmod(0o755)  # as the platform unpacks an archive: for any user
    return directory


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """Return the tiny checkpoint, packed, which no test may change."""
    from compress.pack import pack

    out = tmp_path_factory.mktemp("packed") / "tiny"
    pack(checkpoint, out, lambda _: None)
    return out


def packed_as(directory: Path, packed: Path, **fields: object) -> Path:
    """Copy a packed model, and set fields of its manifest, such as another problem_type."""
    shutil.copytree(packed, directory)
    manifest = directory / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | fields))
    return directory


def labelled(handler: Handler, *texts: str) -> list[Prediction]:
    """Return the predictions of a model that gives each text one label."""
    found = handler.predict(texts)
    return [one for one in found if isinstance(one, Prediction)]


def lines(body: bytes) -> list[dict[str, object]]:
    """Read the JSON Lines of an answer, each of which must end with a newline."""
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body.split(b"\n")[:-1]]
