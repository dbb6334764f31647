"""Give tests a rehearsal, an engine and variants; what a test starts ends with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rehearse.container_engines.process_engine import ProcessEngine
from tests.rehearse.rehearsal import Rehearsal, rehearsing
from tests.rehearse.scripted_variant import ScriptedVariant, scripted_engine

Make = Callable[..., ScriptedVariant]


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[Rehearsal]:
    """Run a rehearsal whose containers are processes; most tests share it."""
    with rehearsing() as found:
        yield found


@pytest.fixture
def engine() -> Iterator[ProcessEngine]:
    """Run scripted_container.py as processes; none may be left when a variant is closed."""
    before = set(psutil.Process().children())
    engine = scripted_engine()
    yield engine
    left = set(psutil.Process().children()) - before
    engine.close()
    assert not left


@pytest.fixture
def make(engine: ProcessEngine, tmp_path: Path) -> Iterator[Make]:
    """Make scripted variants, which are started unless told otherwise."""
    made = []

    def new(start: bool = True, **given: Any) -> ScriptedVariant:
        scripted = ScriptedVariant(engine, tmp_path, **given)
        made.append(scripted)
        if start:
            scripted.variant.start()
        return scripted

    yield new
    for scripted in made:
        scripted.close()
