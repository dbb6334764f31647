"""Run code in an interpreter that lacks some packages, as if they were not installed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.conftest import ROOT

BLOCK = """
import sys
class Block:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Block())
"""


def run_without(names: set[str], code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code with arguments where the packages `names` cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", BLOCK.format(names=names) + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
