"""Make the request of a seed and an index: always the same, so that it can be sent again.

Header fields are mostly right ones, some wrong, some nonsense.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.fuzz import bodies

# Stands in texts, with the index of the case behind it. No answer and no log may have it.
SECRET = "pomegranate"
# What each form of body is called; None: no Content-Type at all.
TYPES: Mapping[str, tuple[str | None, ...]] = {
    "lines": (
        None, "application/jsonlines", "application/x-jsonlines", "application/jsonl",
        "application/x-ndjson",
    ),
    "json": ("application/json",),
    "csv": ("text/csv",),
}  # fmt: skip
PARAMETERS = (
    *[""] * 6,
    "; charset=utf-8",
    ';charset="UTF-8"',
    " ; charset=us-ascii",
    "; header=absent; charset=utf8",
)
ACCEPTED = (
    *[None] * 6,
    "*/*",
    "application/jsonlines",
    "application/json",
    "text/csv",
    "application/x-ndjson",
    "application/*",
    "application/json; charset=utf-8",
    "text/csv;q=0.5, application/json;q=0.4",
    "image/png, */*;q=0.1",
    "application/json;q=0, */*",
    "text/html,application/xhtml+xml,*/*;q=0.8",
)
REFUSED = ("image/png", "text/html", "*/*;q=0", "application/json;q=0", "application/xml;q=2")
WRONG_TYPES = (
    "application/xml",
    "text/plain",
    "application/octet-stream",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-16",
    "application/jsonlines; charset=latin-1",
    "",
)
ENCODINGS = ("gzip", "br", "deflate", "gzip, identity", "zstd")
# The platform passes on no more:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
LONGEST = 1024
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
WISHES = (*[None] * 6, "scores=all", "on-bad-record=report", "scores=all,on-bad-record=report")


@dataclass(frozen=True)
class Case:
    """One request; `records` is how many predictions it must get, None where it may be refused."""

    index: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    records: int | None = None
    chunked: bool = False

    def content(self) -> bytes | Iterator[bytes]:
        """Return the body, or two parts of it, of different sizes, to be sent as chunks."""
        if not self.chunked:
            return self.body
        third = len(self.body) // 3
        # An empty chunk would end the body.
        return filter(None, (self.body[:third], self.body[third:]))


def case(seed: int, index: int) -> Case:
    """Return the request of an index."""
    chance = random.Random(f"{seed}/{index}")
    kind = chance.choices(list(bodies.KINDS), [weight for weight, _ in bodies.KINDS.values()])[0]
    made = bodies.KINDS[kind][1](chance, f"{SECRET}{index}")
    fields, right = headers(chance, made.form)
    return Case(
        index,
        kind,
        made.content,
        fields,
        made.records if right else None,
        chunked=chance.random() < 0.05,
    )


def headers(chance: random.Random, form: str) -> tuple[dict[str, str], bool]:
    """Return fields, and whether nothing in them is a reason to refuse a body of the form."""
    media_type, right = _content_type(chance, form)
    accept, accepted = _accept(chance)
    attributes = chance.choice(WISHES)
    if chance.random() < 0.05:
        attributes = ",".join([nonsense(chance), attributes or "x=1", nonsense(chance)])
    encoding = chance.choice(("identity", *ENCODINGS)) if chance.random() < 0.02 else None
    found = {
        "Content-Type": media_type,
        "Accept": accept,
        ATTRIBUTES: attributes,
        "Content-Encoding": encoding,
        "X-Amzn-SageMaker-Inference-Id": nonsense(chance) if chance.random() < 0.02 else None,
    }
    fields = {name: value[:LONGEST] for name, value in found.items() if value is not None}
    plain = all(value.isascii() and value.isprintable() for value in fields.values())
    return fields, right and accepted and plain and encoding in (None, "identity")


def _content_type(chance: random.Random, form: str) -> tuple[str | None, bool]:
    luck = chance.random()
    if luck < 0.85:
        name = chance.choice(TYPES[form])
        if name is None:
            return None, True
        if chance.random() < 0.1:
            name = name.title()
        return name + chance.choice(PARAMETERS), True
    if luck < 0.93:
        return chance.choice([name for names in TYPES.values() for name in names]), False
    return (chance.choice(WRONG_TYPES) if luck < 0.97 else nonsense(chance)), False


def _accept(chance: random.Random) -> tuple[str | None, bool]:
    luck = chance.random()
    if luck < 0.92:
        return chance.choice(ACCEPTED), True
    return (chance.choice(REFUSED) if luck < 0.96 else nonsense(chance)), False


def nonsense(chance: random.Random) -> str:
    """Return a field value that nobody should send; all but a line's end may stand in it."""
    length = chance.choice((0, 1, 5, 30, 200, LONGEST))
    letters = chance.choice(
        (
            string.ascii_letters + string.digits,
            string.punctuation,
            ',;=q/*" 019.',
            "".join(map(chr, range(32, 256))),
            "".join(map(chr, (*range(10), 11, 12, *range(14, 256)))),
        )
    )
    return "".join(chance.choices(letters, k=length))
