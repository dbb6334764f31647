"""Damage a body: change, insert, delete, repeat or reorder a part of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

# What parsers stumble over.
PIECES: Sequence[bytes] = (
    b"\0", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf",
    b"\xe2\x80\xa8", b"\x1f\x8b\x08", b'"', b'""', b"'", b"\\", b"\\u", b"\\ud800", b"\\u0000",
    b"{", b"}", b"[", b"]", b":", b",", b"NaN", b"-Infinity", b"1e999", b"null", b"true",
    b'"text"', b'"features":', b"//", b"#", b"\x1e", b"\x85",
)  # fmt: skip


def damaged(chance: random.Random, body: bytes) -> bytes:
    """Return the body with one to four kinds of damage."""
    for _ in range(chance.randint(1, 4)):
        body = chance.choice(WAYS)(chance, body)
    return body


def _flip(chance: random.Random, body: bytes) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :]


def _insert(chance: random.Random, body: bytes) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + chance.choice(PIECES) + body[place:]


def _delete(chance: random.Random, body: bytes) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + body[place + chance.randint(1, 8) :]


def _glue(_: random.Random, body: bytes) -> bytes:
    return body.replace(b"\n", b"", 1)


def _split(chance: random.Random, body: bytes) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + b"\n" + body[place:]


def _truncate(chance: random.Random, body: bytes) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _repeat(chance: random.Random, body: bytes) -> bytes:
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.randint(1, 60))
    return body[:end] + body[start:end] * chance.randint(1, 5) + body[end:]


def _swap(chance: random.Random, body: bytes) -> bytes:
    lines = body.split(b"\n")
    chance.shuffle(lines)
    return b"\n".join(lines)


WAYS: Sequence[Callable[[random.Random, bytes], bytes]] = (
    _flip, _insert, _delete, _glue, _split, _truncate, _repeat, _swap,
)  # fmt: skip
