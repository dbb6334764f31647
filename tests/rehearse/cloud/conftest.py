"""The rehearsal that most tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rehearse.desk import Rehearsal, rehearsing


@pytest.fixture(scope="session")
def desk() -> Iterator[Rehearsal]:
    """One that runs `serve` as processes, until the end."""
    with rehearsing() as found:
        yield found
