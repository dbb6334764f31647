"""Write report.html, a page that needs nothing else: how a smaller model compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compress.chain import Step
from compress.report import Report

NAME = "report.html"


def write(made: Path, steps: Sequence[Step], report: Report) -> None:
    """Write the page into a folder; the report is that of the last of the steps.

    It holds texts of the owner: archives leave it out.
    """
