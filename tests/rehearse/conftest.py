"""Rigs and engines; whatever a test starts has ended when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rehearse.engines.process_engine import ProcessEngine
from tests.rehearse.rig import Rig, scripted_engine

Make = Callable[..., Rig]


@pytest.fixture
def scripted() -> Iterator[ProcessEngine]:
    """Processes of scripted.py; none may be left when their fleet is closed."""
    before = set(psutil.Process().children())
    engine = scripted_engine()
    yield engine
    left = set(psutil.Process().children()) - before
    engine.close()
    assert not left


@pytest.fixture
def make(scripted: ProcessEngine, tmp_path: Path) -> Iterator[Make]:
    """Makes rigs, which are started unless told otherwise."""
    rigs = []

    def new(start: bool = True, **given: Any) -> Rig:
        rig = Rig(scripted, tmp_path, **given)
        rigs.append(rig)
        if start:
            rig.fleet.start()
        return rig

    yield new
    for rig in rigs:
        rig.close()
