"""What SageMaker gives to a training container, and where: paths, channels, hyperparameters.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from platform_facts import FAILURE_CHARACTERS, OPT_ML

# Moves /opt/ml, as in https://github.com/aws/sagemaker-training-toolkit
BASE_DIR = "SAGEMAKER_BASE_DIR"
# SDK 2 names the channel "training" where fit() is given one address.
TRAIN_CHANNELS = ("train", "training")
VALIDATION_CHANNEL = "validation"
# Those of the SDKs (sagemaker_program, ...) and of tuning jobs (_tuning_objective_metric).
NOT_OURS = ("sagemaker_", "_")


class JobError(Exception):
    """The job is set up wrongly; the message says what to change."""


@dataclass(frozen=True)
class Hyperparameters:
    """What the owner of a training job may choose.

    `max_steps` ends it earlier than `epochs`; 0 does not. `model_name_or_path` is a channel or a
    folder with a checkpoint; without it the encoder is all-MiniLM-L6-v2.
    """

    epochs: float = 3.0
    max_steps: int = 0
    learning_rate: float = 5e-5
    batch_size: int = 32
    seed: int = 42
    max_length: int = 128
    model_name_or_path: str = ""


# The least and the most of each number.
RANGES: Mapping[str, tuple[float, float]] = {
    "epochs": (0.0, 1000),
    "max_steps": (0, 10_000_000),
    "learning_rate": (0.0, 1.0),
    "batch_size": (1, 4096),
    "seed": (0, 2**32 - 1),
    "max_length": (4, 8192),
}


@dataclass(frozen=True)
class Folders:
    """The folders of a job, all below /opt/ml, or what SAGEMAKER_BASE_DIR names."""

    base: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Folders:
        """Return the folders of this process."""
        return cls(Path(environment.get(BASE_DIR, OPT_ML)))

    @property
    def model(self) -> Path:
        """Whose files become model.tar.gz."""
        return self.base / "model"

    @property
    def checkpoints(self) -> Path:
        """Which SageMaker copies to S3 meanwhile, and back when a spot job starts again."""
        return self.base / "checkpoints"

    @property
    def failure(self) -> Path:
        """The file with the reason of a failure."""
        return self.base / "output" / "failure"

    def channel(self, name: str) -> Path:
        """Return the folder of a channel."""
        return self.base / "input" / "data" / name

    def config(self, name: str) -> dict[str, Any]:
        """Read a file of input/config; {} where there is none. Raises JobError."""
        path = self.base / "input" / "config" / f"{name}.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise JobError(f"{path} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise JobError(f"{path} must hold an object, not {json.dumps(found)[:40]}")
        return found


def check(folders: Folders) -> None:
    """Raise JobError for what would train wrongly in silence."""
    hosts = folders.config("resourceconfig").get("hosts", [])
    if len(hosts) > 1:
        raise JobError(f"it trains on one instance; InstanceCount is {len(hosts)}, set it to 1")
    for name, channel in folders.config("inputdataconfig").items():
        if isinstance(channel, dict) and channel.get("TrainingInputMode") == "Pipe":
            raise JobError(f"channel {name} has the input mode Pipe; use File or FastFile")


def train_channel(folders: Folders) -> Path:
    """Return the folder with the examples to train with; raises JobError if there is none."""
    for name in TRAIN_CHANNELS:
        if folders.channel(name).is_dir():
            return folders.channel(name)
    raise JobError(f"there is no channel train; {folders.channel('train')} is missing")


def hyperparameters(folders: Folders) -> Hyperparameters:
    """Read the hyperparameters, which come as strings; raises JobError for a wrong one."""
    known = {field.name: field.type for field in fields(Hyperparameters)}
    found: dict[str, Any] = {}
    for name, text in folders.config("hyperparameters").items():
        if name.startswith(NOT_OURS):
            continue
        if name not in known:
            raise JobError(f"hyperparameter {name} is unknown{_nearest(name, list(known))}")
        value = _plain(text)
        found[name] = value if known[name] == "str" else _number(name, value, known[name] == "int")
    return Hyperparameters(**found)


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; it takes {', '.join(known)}"


def _plain(text: object) -> str:
    """Return a value as plain text: the SDKs encode values as JSON, other clients do not."""
    if not isinstance(text, str):
        return json.dumps(text)
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _number(name: str, text: str, whole: bool) -> float:
    least, most = RANGES[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    kind = "a whole number" if whole else "a number"
    if math.isnan(value) or (whole and value != int(value) if math.isfinite(value) else True):
        raise JobError(f"hyperparameter {name} must be {kind}, not {text!r}")
    if not least <= value <= most or (not whole and not value):
        above = "above 0" if not whole else f"from {least:g}"
        raise JobError(f"hyperparameter {name} must be {above} to {most:g}, not {text}")
    return int(value) if whole else value


def write_failure(folders: Folders, reason: str) -> None:
    """Write the reason where SageMaker looks for it; for people it is on stderr as well."""
    folders.failure.parent.mkdir(parents=True, exist_ok=True)
    folders.failure.write_text(reason[:FAILURE_CHARACTERS], encoding="utf-8")
