"""Make bodies of all kinds at random; KINDS says how often each kind is made.

Some are right, some are odd from the beginning, and some are right ones that were damaged.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping, Sequence

from benchmarks.fuzz import odd_texts
from benchmarks.fuzz.well_formed import Body, Value, as_csv, as_json, as_lines, record, text

Maker = Callable[[random.Random, str], Body]
# What parsers stumble over.
PIECES: Sequence[bytes] = (
    b"\0", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf",
    b"\xe2\x80\xa8", b"\x1f\x8b\x08", b'"', b'""', b"'", b"\\", b"\\u", b"\\ud800", b"\\u0000",
    b"{", b"}", b"[", b"]", b":", b",", b"NaN", b"-Infinity", b"1e999", b"null", b"true",
    b'"text"', b'"features":', b"//", b"#", b"\x1e", b"\x85",
)  # fmt: skip


def _records(chance: random.Random, secret: str) -> Body:
    return chance.choice((as_lines, as_lines, as_json, as_csv))(
        chance, [text(chance, secret) for _ in range(chance.choice((1, 1, 2, 3)))]
    )


def _planes(chance: random.Random, secret: str) -> Body:
    texts = [odd_texts.planes(chance) + secret for _ in range(chance.randint(1, 2))]
    return chance.choice((as_lines, as_json, as_csv))(chance, texts)


def _damaged(chance: random.Random, secret: str) -> Body:
    made = _records(chance, secret)
    return Body(damaged(chance, made.content), made.form)


def damaged(chance: random.Random, body: bytes) -> bytes:
    """Return the body with one to four kinds of damage."""
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(body) + 1)
        before, after = body[:place], body[place:]
        lines = body.split(b"\n")
        body = chance.choice(
            (
                before + bytes([chance.randrange(256)]) + after[1:],  # a byte is changed
                before + chance.choice(PIECES) + after,  # something is put in
                before + after[chance.randint(1, 8) :],  # something is left out
                before,  # the rest is cut off
                before + after[: chance.randint(1, 60)] * chance.randint(1, 5) + after,  # repeated
                before + b"\n" + after,  # a line is split
                body.replace(b"\n", b"", 1),  # two lines are one
                b"\n".join(chance.sample(lines, len(lines))),  # lines change places
            )
        )
    return body


def _noise(chance: random.Random, secret: str) -> Body:
    body = chance.randbytes(chance.randint(1, 400)) + secret.encode()
    return Body(body, chance.choice(("lines", "json", "csv")))


def _literals(chance: random.Random, secret: str) -> Body:
    """Write JSON that is odd as text: values stand in it as they are written."""
    value = chance.choice((odd_texts.number, odd_texts.surrogates, odd_texts.deep))(chance, secret)
    key = chance.choice(("features", "text", "inputs", "other"))
    line = f'{{"{key}": {chance.choice((value, f"[{value}]"))}}}'
    return _of_json(chance, line.encode("utf-8", "surrogatepass"))


def _keys(chance: random.Random, secret: str) -> Body:
    """Use the same key twice, or several keys that each could hold the text."""
    names = chance.choices(("text", "features", "inputs", "Text", "text "), k=chance.randint(2, 4))
    members = ", ".join(f'"{name}": {json.dumps(secret)}' for name in names)
    return _of_json(chance, f"{{{members}}}".encode())


def _types(chance: random.Random, secret: str) -> Body:
    """Put something else in the place of a text, or of the whole record."""
    values: tuple[Value, ...] = (
        0, -1.5, True, None, [], {}, [[]], [secret, secret], {"text": secret}, [None], [[secret]],
    )  # fmt: skip
    value = chance.choice(values)
    whole: Value = value if chance.random() < 0.3 else record(chance, value)
    return _of_json(chance, json.dumps(whole).encode())


def _of_json(chance: random.Random, line: bytes) -> Body:
    """Put the line alone, beside a good one, or in a list."""
    good = json.dumps({"text": "good"}).encode()
    if chance.random() < 0.3:
        return Body(b"[" + b", ".join(chance.sample([line, good], 2)) + b"]", "json")
    lines = chance.sample([line, good], chance.randint(1, 2))
    return Body(b"\n".join(lines) + b"\n" * chance.randint(0, 1), chance.choice(("lines", "json")))


def _encodings(chance: random.Random, secret: str) -> Body:
    made = _records(chance, secret)
    words = made.content.decode()
    place = chance.randrange(len(words) + 1)
    marked = words[:place] + "\ufeff" + words[place:]
    encoding = chance.choice(("utf-16", "utf-16-le", "utf-32", "utf-32-be", "utf-7", "utf-8-sig"))
    whole = chance.choice(
        (words.encode(encoding), marked.encode(), b"\xef\xbb\xbf" * 2 + made.content)
    )
    return Body(whole, made.form)


def _breaks(chance: random.Random, secret: str) -> Body:
    """End lines in other ways, inside texts too."""
    ends = ("\r\n", "\r", "\n\r", "\u2028", "\u2029", "\x85", "\v", "\f", "\x1e", "\n\n \t\n")
    end = chance.choice(ends)
    inside = json.dumps({"text": f"{secret}{end}good"}, ensure_ascii=chance.random() < 0.5)
    return Body(end.join([inside, '{"text": "good"}', ""]).encode(), "lines")


def _compressed(chance: random.Random, secret: str) -> Body:
    made = _records(chance, secret)
    magic = b"\x1f\x8b" + bytes([chance.choice((8, 8, 0))])
    whole = gzip.compress(made.content, mtime=0)
    return Body(chance.choice((whole, whole[:20], magic + made.content, magic)), made.form)


def _empty(chance: random.Random, _: str) -> Body:
    bodies = (b"", b"\n", b" ", b"\r\n\r\n", b"\xef\xbb\xbf", b"\0", b"\n" * 1000, b"[]", b"null")
    return Body(chance.choice(bodies), chance.choice(("lines", "json", "csv")))


def _tiny(chance: random.Random, secret: str) -> Body:
    line = chance.choice((b"{}", b"1", b"[", b'"text"', secret.encode()))
    return Body((line + b"\n") * chance.randint(100, 3000), chance.choice(("lines", "csv")))


def _quotes(chance: random.Random, secret: str) -> Body:
    """Write CSV with quotes, commas and line ends where they should not be."""
    parts = ('"', '""', '"""', ",", "\n", "\r", "'", "\\", " ", secret, "good", "\t", ";", "=1+1")
    return Body("".join(chance.choices(parts, k=chance.randint(1, 30))).encode(), "csv")


def _large(chance: random.Random, secret: str) -> Body:
    """Make a body as large as bodies may be."""
    count = 500_000
    return chance.choice(
        (
            Body(b'{"text": "' + b"so good " * 740_000 + secret.encode() + b'"}\n', "lines", 1),
            Body(b"so good " * 740_000 + secret.encode(), "csv", 1),
            Body(b'{"text":""}\n' * count, "lines", count),
            Body(b"a\n" * count, "csv", count),
            Body(b"1\n" * count, "lines"),
            Body(b"[" + b"{}," * count + b"{}]", "json"),
            Body(b'{"text": "' + secret.encode() + b" " * 6_500_000, "lines"),
        )
    )


# Each kind's share of a thousand bodies.
KINDS: Mapping[str, tuple[float, Maker]] = {
    "valid records": (300, _records),
    "damaged records": (350, _damaged),
    "all planes of Unicode": (50, _planes),
    "odd literals": (80, _literals),
    "odd keys": (20, _keys),
    "wrong types": (50, _types),
    "binary noise": (30, _noise),
    "other encodings": (30, _encodings),
    "other line ends": (20, _breaks),
    "compressed": (20, _compressed),
    "empty": (15, _empty),
    "many tiny lines": (4.95, _tiny),
    "odd CSV": (30, _quotes),
    "as large as may be": (0.05, _large),
}
