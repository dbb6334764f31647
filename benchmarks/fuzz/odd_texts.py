"""Make odd texts and odd JSON literals at random."""

from __future__ import annotations

import json
import random

LAST = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)
# They end a line of CSV; all other controls, bidirectional ones too, may stand in a text.
ENDS = "\r\n"
MARKS = "".join(map(chr, range(0x300, 0x370)))  # https://www.unicode.org/charts/PDF/U0300.pdf
BIDI = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def planes(chance: random.Random) -> str:
    """Return characters of any plane, some with a heap of combining marks, some turned around."""
    found = []
    for _ in range(chance.randint(1, 12)):
        number = chance.randrange(17) * 0x10000 + chance.randrange(0x10000)
        if chance.random() < 0.3:
            number = chance.randrange(0x3000)
        if number not in SURROGATES:
            found.append(chr(number))
        if chance.random() < 0.1:
            found.append("".join(chance.choices(MARKS, k=chance.randint(1, 40))))
        if chance.random() < 0.1:
            found.append(chance.choice(BIDI))
    # A blank first: a CSV line that begins with a quote, or is blank, means something else.
    return "a" + "".join(found).translate(dict.fromkeys(map(ord, ENDS)))


def number(chance: random.Random, secret: str) -> str:
    """Return a number, a constant, or what JSON does not know."""
    digits = "".join(chance.choices("0123456789", k=chance.choice((1, 20, 400, 5000))))
    known = ("NaN", "Infinity", "-Infinity", "1e999", "-0", "0x1F", "01", "1.", ".5", "+1", "1e")
    other = ("true", "undefined", "'" + secret + "'", digits, f"-{digits}", f"0.{digits}e-{digits}")
    return chance.choice((*known, *other))


def surrogates(chance: random.Random, secret: str) -> str:
    """Return halves of pairs, escaped or raw (encoded as nobody may), and whole pairs."""
    half, other = chr(chance.randrange(0xD800, 0xDC00)), chr(chance.randrange(0xDC00, 0xE000))
    inside = chance.choice((half, other, other + half, half + "x" + other, half + other))
    return json.dumps(secret + inside, ensure_ascii=chance.random() < 0.6)


def deep(chance: random.Random, secret: str) -> str:
    """Return a nested value, mostly less deep than parsers go, now and then 100,000 levels."""
    levels = chance.choice((2, 30, 300, 950, 1100, 5000, 100_000 if chance.random() < 0.02 else 10))
    before, after = chance.choice((("[", "]"), ('{"a":', "}")))
    closed = levels if chance.random() < 0.8 else chance.randrange(levels)
    return before * levels + json.dumps(secret) + after * closed
