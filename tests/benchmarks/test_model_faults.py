"""Try faulty model directories on a real server, and check the page of all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.results import Results
from benchmarks.model_faults import command, spoiled_models


@pytest.mark.parametrize("what", ["weights that are a link to /etc/passwd", "a script beside the"])
def test_a_fault_is_tried_on_a_real_server(what: str, tmp_path: Path) -> None:
    (fault,) = [fault for fault in spoiled_models.FAULTS if f": {what}" in fault]
    found = command.run(fault, tmp_path)  # a packed one needs no checkpoint
    assert found["code"] == "not run"
    asked = (found["/ping"], found["/invocations"], found["eager"])
    if "link" in what:
        assert asked == ("503", "503", "exit 3")
        assert found["reason"].startswith("/opt/ml/model/model.bin is a link that leads out of")
        assert found["log"].startswith("ERROR ")
        assert found["log"].endswith(": model load failed: ...")
    else:
        assert asked == ("200", "200", "serves")
        assert "code: not run; SAGEMAKER_PROGRAM=inference.py runs" in found["log"]
    results = Results("", {})
    results.say(fault, found)
    assert command.page(results).endswith(f" | not run | {found['eager']} |\n")


def test_the_page_that_is_kept_has_every_fault_and_no_code_that_ran() -> None:
    rows = command.BENCHMARK.page.read_text().splitlines()[-len(spoiled_models.FAULTS) :]
    for fault, row in zip(spoiled_models.FAULTS, rows, strict=True):
        assert row.startswith(f"| {fault} | ")
        assert " | not run | " in row
