"""Libraries whose pages are in another order are the same libraries, in fewer blocks."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from requirements import library_order
from tests.conftest import ROOT

PACKAGES = Path(sysconfig.get_path("platlib"))
PAGE = library_order.PAGE
RECORDED = library_order.read()
NUMPY = next(name for name in RECORDED if "_multiarray_umath" in name)

pinned = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the libraries of the image are those of Python 3.11"
)


def mapped(library: bytes) -> dict[int, tuple[int, int, int, int]]:
    """Return what a loader maps: by address, the place of a page, its size, flags, and zeros."""
    found = {}
    for part in library_order.program_headers(library):
        if part.type != library_order.PT_LOAD:
            continue
        assert (part.vaddr - part.offset) % PAGE == 0
        end = part.vaddr + part.filesz
        for address in range(part.vaddr // PAGE * PAGE, end, PAGE):
            assert address not in found, "two parts of the file claim one page"
            zeros = part.memsz - part.filesz if address + PAGE >= end else 0
            place = part.offset - part.vaddr + address
            found[address] = (place, min(PAGE, end - address), part.flags, zeros)
    return found


@pinned
@pytest.mark.parametrize("name", RECORDED)
def test_the_memory_of_a_library_is_as_before_and_its_beginning_is_what_a_start_touches(
    name: str,
) -> None:
    library, known = (PACKAGES / name).read_bytes(), RECORDED[name]
    # After another version was pinned: python -m benchmarks.coldstart.record
    assert hashlib.sha256(library).hexdigest() == known.sha256
    made = library_order.order(library, known.pages)
    before, after = mapped(library), mapped(made)
    assert before.keys() == after.keys()
    for address, (place, size, *others) in before.items():
        there, *same = after[address]
        assert [size, *others] == same
        assert library[place : place + size] == made[there : there + size]
        if place // PAGE in known.pages:
            # The headers come before, and a few pages between touched ones lie with them.
            assert there < 1.3 * PAGE * (len(known.pages) + 20)


@pinned
def test_libraries_in_order_are_loaded_and_compute(tmp_path: Path) -> None:
    for package in ("numpy", "numpy.libs"):
        shutil.copytree(PACKAGES / package, tmp_path / package)
    script = ROOT / "requirements" / "library_order.py"
    command = [sys.executable, str(script), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    # Those that are not there are named, and nothing else is.
    there = {name for name in RECORDED if (tmp_path / name).exists()}
    assert {line.split()[0] for line in found.stderr.splitlines()} == RECORDED.keys() - there
    for name in there:
        assert (tmp_path / name).read_bytes() != (PACKAGES / name).read_bytes()
    code = """
import numpy
assert numpy.__file__.startswith(__import__("sys").argv[1])
a = numpy.arange(9.0).reshape(3, 3) + numpy.eye(3)
assert numpy.allclose(numpy.linalg.inv(a) @ a, numpy.eye(3))
try:
    numpy.zeros(3).reshape(2)  # an exception goes through the library
except ValueError as error:
    print(error)
"""
    computed = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert computed.stdout == "cannot reshape array of size 3 into shape (2,)\n"


def test_another_library_than_was_recorded_stays_as_it_is(tmp_path: Path) -> None:
    library = (PACKAGES / NUMPY).read_bytes()
    assert library_order.ordered(library, library_order.Recorded("0" * 64, frozenset({1}))) is None
    with pytest.raises(ValueError, match="no 64-bit library"):
        library_order.order(b"#!/bin/sh\n", frozenset())
    record = tmp_path / "record"
    known = {"a": library_order.Recorded("0", frozenset({1, 2, 3, 5, 9, 10}))}
    library_order.write(known, record)
    assert '"1-3 5 9-10"' in record.read_text()
    assert library_order.read(record) == known
