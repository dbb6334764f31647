"""The table of faults: one real server on one faulty directory, and the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.model_faults import command, spoiled_models


@pytest.mark.parametrize("what", ["weights that are a link to /etc/passwd", "a script beside the"])
def test_a_fault_is_tried_on_a_real_server(what: str, tmp_path: Path) -> None:
    (fault,) = [fault for fault in spoiled_models.FAULTS if fault.what.startswith(what)]
    found = command.run(fault, tmp_path)  # a packed one needs no checkpoint
    assert not found.code_ran
    if "link" in what:
        assert (found.ping, found.invocations, found.eager) == (503, (503,), "exit 3")
        assert found.reason.startswith("/opt/ml/model/model.bin is a link that leads out of")
        assert found.log.startswith("ERROR ")
        assert found.log.endswith(": model load failed: ...")
    else:
        assert (found.ping, found.invocations, found.eager) == (200, (200,), "serves")
        assert "code: not run; SAGEMAKER_PROGRAM=inference.py runs" in found.log
    assert command.page([found]).endswith(f" | not run | {found.eager} |\n")


def test_the_page_that_is_kept_has_every_fault_and_no_code_that_ran() -> None:
    rows = command.PAGE.read_text().splitlines()[-len(spoiled_models.FAULTS) :]
    for fault, row in zip(spoiled_models.FAULTS, rows, strict=True):
        assert fault.what in row
        assert " | not run | " in row
