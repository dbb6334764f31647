#!/usr/bin/env python3
"""A training container that does what its hyperparameters say. It is run as `train`.

    do   tell (the default): leave what it was given in the model; fail, die, hold, nothing
    say  a line to print first

hold runs until SIGTERM, then leaves a model and exits with 0; with STUBBORN it ignores SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
CONFIG = BASE / "input" / "config"


def tell() -> None:
    """Leave all that it was given."""
    told = {path.stem: json.loads(path.read_text()) for path in CONFIG.glob("*.json")}
    told["environment"] = dict(os.environ)
    told["arguments"] = sys.argv[1:]
    told["interfaces"] = sorted(each.name for each in Path("/sys/class/net").iterdir())
    told["files"] = {
        str(path.relative_to(BASE)): path.read_text()
        for path in sorted(BASE.rglob("*"))
        if path.is_file() and CONFIG not in path.parents
    }
    (BASE / "model" / "told.json").write_text(json.dumps(told))
    (BASE / "output" / "data" / "report.txt").write_text("well")
    if (BASE / "checkpoints").is_dir():
        (BASE / "checkpoints" / "step-2").write_text("two")


def fail(text: str) -> None:
    """Say why, and fail."""
    (BASE / "output" / "failure").write_text(text)
    sys.exit(3)


def hold() -> None:
    """Wait for SIGTERM."""

    def end(*_: object) -> None:
        (BASE / "model" / "best").write_text("so far")
        sys.exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("STUBBORN") else end)
    print("holding", flush=True)
    while True:
        time.sleep(0.01)


def main() -> None:
    given = json.loads((CONFIG / "hyperparameters.json").read_text())
    print(given.get("say", "training"), flush=True)
    what = given.get("do", "tell")
    if what == "tell":
        tell()
    elif what == "fail":
        fail(given.get("why", ""))
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "hold":
        hold()


if __name__ == "__main__":
    main()
