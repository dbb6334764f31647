"""Choose or invent the texts that are sent: of so many tokens, as long as reviews, very large."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness.client import body

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FIRST = "I love this product!"
# Cut off where it has the tokens asked for, whatever the vocabulary.
WORDS = "it is good and it is not so big as the one that was here for all of us to see".split()
REVIEWS = "validation.jsonl.gz"
SEED = 20
# Words of an invented review: as of real ones, a tenth has about 20, half has 58, a tenth has 98.
# The most fit into the 128 tokens that a model reads.
SHORTEST, LONGEST = 10, 106
# Under the 4 MB that a serverless endpoint takes:
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html
LARGE_BYTES = 4_000_000
# Each text of the large body is far beyond what a model reads, so it is cut, and a body of 4 MB
# can be scored in the 60 seconds that the platform waits; 13,000 short reviews could not.
LARGE_TEXT = 31_000


def of_length(tokenizer: Tokenizer, tokens: int) -> str:
    """Return a text of exactly so many tokens, special ones included."""
    words = list(itertools.islice(itertools.cycle(WORDS), 2 * tokens))
    for count in range(len(words)):
        text = " ".join(words[:count])
        if len(tokenizer.encode(text).ids) == tokens:
            return text
    raise SystemExit(f"no beginning of {' '.join(WORDS)!r}, repeated, has {tokens} tokens")


def reviews(folder: Path | None, tokenizer: Tokenizer, longest: int, count: int) -> list[str]:
    """Return so many reviews of at most `longest` tokens: no model cuts them, so all do equal work.

    They are invented where the folder is None.
    """
    source = invented() if folder is None else _read(folder / REVIEWS)
    found: list[str] = []
    for text in source:
        if len(tokenizer.encode(text).ids) < longest:
            found.append(text)
        if len(found) == count:
            return found
    raise SystemExit(f"only {len(found)} reviews have less than {longest} tokens")


def invented(count: int = 2000) -> list[str]:
    """Invent texts as long as reviews of clothes are."""
    chance = random.Random(SEED)
    return [
        " ".join(chance.choices(WORDS, k=chance.randint(SHORTEST, LONGEST))) for _ in range(count)
    ]


def large(texts: Sequence[str]) -> bytes:
    """Return a body of LARGE_BYTES: few records, each of many texts joined."""
    turn = itertools.cycle(texts)
    made = bytearray()
    while len(made) < LARGE_BYTES:
        text = ""
        while len(text) < LARGE_TEXT:
            text += next(turn) + " "
        made += body(text[:LARGE_TEXT])
    return bytes(made)


def _read(path: Path) -> list[str]:
    if not path.exists():
        raise SystemExit(f"{path} not found; name its folder with --data, or leave that out")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line)["text"] for line in stream]
