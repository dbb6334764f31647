"""Put the pages of libraries that a start touches before the others in their files.

An image is loaded in blocks of 512 KiB as they are touched, and a start touches pages here and
there in large libraries: 10 MB of onnxruntime's 37, which lie in 27 MB of blocks. A program header
says which part of the file lies where in memory. With one for each run of pages that are touched
or not, the file can have the runs in any order, and the memory is as before:
https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html

The Dockerfile runs this with the folder of the packages. `python -m benchmarks.coldstart.record`
writes down the pages; a library that is another than was recorded stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Iterator, Set
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

RECORD = Path(__file__).with_name("library_pages.json")
PAGE = 4096

# The structures, constants and names of elf(5), for 64 bits:
# https://man7.org/linux/man-pages/man5/elf.5.html
ELF_64_LITTLE = b"\x7fELF\x02\x01"
PT_LOAD, PT_PHDR = 1, 6
_HEADER = struct.Struct("<16s2HI3QI6H")
_PROGRAM_HEADER = struct.Struct("<2I6Q")


class Header(NamedTuple):
    """An ELF header."""

    ident: bytes
    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class ProgramHeader(NamedTuple):
    """A part of the file, and the addresses that it has in memory."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


class Recorded(NamedTuple):
    """The library that was recorded, and the pages of its file that a start touches."""

    sha256: str
    pages: frozenset[int]


def order(library: bytes, touched: Set[int]) -> bytes:
    """Return a library that begins with its touched pages; raises ValueError if it cannot be.

    It has no section headers: those are for linkers and debuggers.
    """
    if not library.startswith(ELF_64_LITTLE):
        raise ValueError("it is no 64-bit library")
    header = Header(*_HEADER.unpack_from(library))
    parts = program_headers(library)
    if any(part.type == PT_LOAD and not part.filesz for part in parts):
        raise ValueError("it has memory that is no part of its file")
    runs = [run for part in parts if part.type == PT_LOAD for run in _runs(part, touched)]
    # Its own table is no longer in memory; the loader then keeps a copy.
    others = [part for part in parts if part.type not in (PT_LOAD, PT_PHDR)]
    count = len(runs) + len(others)
    made = bytearray(_whole_pages(_HEADER.size + count * _PROGRAM_HEADER.size))
    placed = []
    for _, run in sorted(runs, key=lambda each: (not each[0], each[1].offset)):
        first = run.offset // PAGE * PAGE
        placed.append(run._replace(offset=len(made) + run.offset - first))
        pages = library[first : _whole_pages(run.offset + run.filesz)]
        made += pages.ljust(_whole_pages(len(pages)), b"\0")
    placed.sort(key=lambda run: run.vaddr)
    table = [*placed, *(part._replace(offset=_offset(part, placed)) for part in others)]
    header = header._replace(phoff=_HEADER.size, phnum=count, shoff=0, shnum=0, shstrndx=0)
    _HEADER.pack_into(made, 0, *header)
    for number, part in enumerate(table):
        _PROGRAM_HEADER.pack_into(made, _HEADER.size + number * _PROGRAM_HEADER.size, *part)
    return bytes(made)


def program_headers(library: bytes) -> list[ProgramHeader]:
    """Return the program headers of a library."""
    header = Header(*_HEADER.unpack_from(library))
    ends = header.phoff + header.phnum * _PROGRAM_HEADER.size
    return [
        ProgramHeader(*fields)
        for fields in _PROGRAM_HEADER.iter_unpack(library[header.phoff : ends])
    ]


def _runs(part: ProgramHeader, touched: Set[int]) -> Iterator[tuple[bool, ProgramHeader]]:
    """Cut what is loaded into runs of pages, and say of each whether it is touched."""

    def is_touched(page: int) -> bool:
        # One page between two goes with them: fewer runs, which are mapped one by one.
        return page in touched or (page - 1 in touched and page + 1 in touched)

    end = part.offset + part.filesz
    for used, group in groupby(range(part.offset // PAGE, _whole_pages(end) // PAGE), is_touched):
        first, *_, last = [*group] * 2
        begin, stop = max(part.offset, first * PAGE), min(end, (last + 1) * PAGE)
        zeros = part.memsz - part.filesz if stop == end else 0
        run = part._replace(
            offset=begin,
            vaddr=part.vaddr + begin - part.offset,
            paddr=part.paddr + begin - part.offset,
            filesz=stop - begin,
            memsz=stop - begin + zeros,
            align=PAGE,
        )
        yield used, run


def _offset(part: ProgramHeader, placed: list[ProgramHeader]) -> int:
    """Return where the beginning of a part of the memory now lies in the file."""
    for run in placed:
        if run.vaddr <= part.vaddr < run.vaddr + run.filesz:
            return run.offset + part.vaddr - run.vaddr
    return part.offset


def _whole_pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


def read(record: Path = RECORD) -> dict[str, Recorded]:
    """Return what was recorded, by the path of the library in the folder of packages."""
    return {
        name: Recorded(fields["sha256"], frozenset(_pages(fields["pages"])))
        for name, fields in json.loads(record.read_text()).items()
    }


def _pages(ranges: str) -> Iterator[int]:
    """Read page numbers: "1 4-6" has 1, 4, 5 and 6."""
    for each in ranges.split():
        first, _, last = each.partition("-")
        yield from range(int(first), int(last or first) + 1)


def write(found: dict[str, Recorded], record: Path = RECORD) -> None:
    """Write what was recorded."""
    fields = {
        name: {"sha256": each.sha256, "pages": " ".join(_ranges(each.pages))}
        for name, each in sorted(found.items())
    }
    record.write_text(json.dumps(fields, indent=1) + "\n")


def _ranges(pages: Set[int]) -> Iterator[str]:
    firsts = sorted(page for page in pages if page - 1 not in pages)
    lasts = sorted(page for page in pages if page + 1 not in pages)
    for first, last in zip(firsts, lasts, strict=True):
        yield str(first) if first == last else f"{first}-{last}"


def ordered(library: bytes, known: Recorded) -> bytes | None:
    """Return a library in order; None if it is another than was recorded."""
    if hashlib.sha256(library).hexdigest() != known.sha256:
        return None
    return order(library, known.pages)


def main() -> None:
    """Order the libraries in a folder of packages."""
    folder = Path(sys.argv[1])
    for name, known in read().items():
        path = folder / name
        made = ordered(path.read_bytes(), known) if path.exists() else None
        if made is None:
            print(f"{name} is not as recorded, and stays as it is", file=sys.stderr)
        else:
            path.write_bytes(made)


if __name__ == "__main__":
    main()
