"""Products a second of this CPU: of its instructions, of a kernel, and of the bundled model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.harness import cpu_kind
from benchmarks.harness.results import read
from benchmarks.roofline import command, kernels
from tests.conftest import BUNDLED


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_every_length_has_its_rates_and_none_is_beyond_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = os.sched_getaffinity(0)
    monkeypatch.setattr(command, "TOKENS", (8, 16))
    try:
        command.main([str(BUNDLED), "--runs", "1", "--out", str(tmp_path)])
    finally:
        os.sched_setaffinity(0, mine)
    (file,) = tmp_path.glob("roofline.*.json")
    found = read(file)
    assert file.name == f"roofline.{cpu_kind.kind().lower()}.json"
    (loop,) = found.of("rate", command.LOOP)
    for tokens in ("8", "16"):
        kernel = max(found.of(tokens, f"{deep} x {wide}")[0] for deep, wide in command.SHAPES)
        assert 0 < found.of(tokens, command.MODEL)[0] < 2 * kernel
        if "amx_int8" not in cpu_kind.flags():
            assert kernel < 1.5 * loop
    assert f"{loop:.0f} billion products a second" in (tmp_path / "ROOFLINE.md").read_text()


def test_the_products_of_a_run_are_those_of_its_weights(tmp_path: Path) -> None:
    # All layers but the last multiply each token; the last one partly the first token alone.
    once, twice = (kernels.products(BUNDLED, tokens, tmp_path) for tokens in (8, 16))
    assert once < twice < 2 * once
