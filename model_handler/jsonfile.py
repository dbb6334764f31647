"""Read the small JSON files that describe a model, or say what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model_handler.errors import ArtifactError

# Files that describe a model have kilobytes. What is much larger is something else, and to parse it
# would take several times its size in memory.
LARGEST = 8_000_000


def read(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; raises ArtifactError with the reason."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ArtifactError(f"{path} has {size:,} bytes; no more than {LARGEST:,} are read")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ArtifactError(f"{path} cannot be read as JSON: {error}") from error
    except RecursionError as error:
        raise ArtifactError(f"{path} cannot be read as JSON: it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ArtifactError(f"{path} holds no JSON object, but a {type(found).__name__}")
    return found


def weight_type(checkpoint: Path) -> str | None:
    """Read from config.json the type in which weights are stored, such as "float16", if given."""
    config = read(checkpoint / "config.json")
    found = config.get("dtype") or config.get("torch_dtype")  # of transformers 5, and before it
    return found if isinstance(found, str) else None
