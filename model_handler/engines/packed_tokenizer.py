"""Open the tokenizer of a packed model, and encode the first texts before it is open.

tokenizers takes 60 to 80 ms to read the 50,000 words and merges of a RoBERTa; tokie, another
package, reads them in a form of its own in 9. It cuts some texts otherwise, though, such as a tab
before an apostrophe. So it gets plain ones alone, which pack-model has compared, and only until
tokenizers has read tokenizer.json. Any other text waits for that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from model_handler import manifest as manifests
from model_handler import tokens
from model_handler.errors import EngineError
from model_handler.manifest import Early, Manifest
from model_handler.tokens import Text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

NAME = "tokenizer.json"
# Texts that are encoded early, each kept to be encoded again: for more, opening the whole tokenizer
# pays, which encodes many at once.
MOST = 256


class Encoding(NamedTuple):
    """What is used of a tokenizers.Encoding."""

    ids: list[int]
    type_ids: Sequence[int] = ()
    overflowing: Sequence[object] = ()


class EarlyTokenizer:
    """Stands for a tokenizers.Tokenizer, which `open_whole` opens once it is needed.

    Raises ImportError without tokie, and what that raises for a file of another version.
    """

    def __init__(
        self, path: Path, early: Early, max_length: int, open_whole: Callable[[], Tokenizer]
    ) -> None:
        import tokie

        self._tokenizer = tokie.Tokenizer.from_file(str(path))
        self.early = early
        self._max_length = max_length
        self._open_whole = open_whole
        self._whole: Tokenizer | None = None
        self._opening = threading.Lock()
        self._encoded: dict[str, list[int]] = {}

    @property
    def truncation(self) -> dict[str, Any]:
        """How texts are cut, as tokenizers has it."""
        return {"max_length": self._max_length, "direction": self.early.direction}

    def encode_batch_fast(self, texts: Sequence[Text]) -> Sequence[Any]:
        """Encode texts, without their places in the texts; raises what `open_whole` raises."""
        few = len(self._encoded) + len(texts) <= MOST
        if self._whole is None and few and all(map(self.is_plain, texts)):
            found = [self.encode(str(text)) for text in texts]
            if all(len(each.ids) <= self._max_length for each in found):
                return found
        return self.whole().encode_batch_fast(texts)

    def whole(self) -> Tokenizer:
        """Open the tokenizer, or wait for it, and encode with it alone from then on.

        Logs an error if it encodes a text otherwise than it was encoded before.
        """
        with self._opening:
            if self._whole is None:
                whole = self._open_whole()
                self._compare(whole)
                self._whole = whole
            return self._whole

    def is_plain(self, text: Text) -> bool:
        """Return whether a text is like those that pack-model has compared."""
        return (
            isinstance(text, str)
            and text.isascii()
            and text.isprintable()
            and not any(token in text for token in self.early.added)
        )

    def encode(self, text: str) -> Encoding:
        """Encode a plain text, uncut."""
        words = self._tokenizer.encode(text, add_special_tokens=False).ids
        ids = [*self.early.before, *words, *self.early.after]
        self._encoded[text] = ids
        return Encoding(ids)

    def _compare(self, whole: Tokenizer) -> None:
        texts = dict(self._encoded)  # another thread may be adding one
        self._encoded = {}
        found = whole.encode_batch_fast(list(texts))
        wrong = sum(
            len(ids) <= self._max_length and ids != encoding.ids
            for ids, encoding in zip(texts.values(), found, strict=True)
        )
        if wrong:
            log.error(
                "%d of the first %d texts were not encoded as tokenizer.json says, so their "
                'predictions may be wrong; from now on they are. Take "early" out of manifest.json',
                wrong,
                len(texts),
            )


def open_early(directory: Path, manifest: Manifest) -> Tokenizer | EarlyTokenizer:
    """Open an early tokenizer if there is one, else the whole; raises EngineError."""
    whole = partial(open_whole, directory, manifest)
    early = manifest.early
    if early is not None:
        try:
            return EarlyTokenizer(directory / early.file, early, manifest.max_length, whole)
        except Exception as error:  # tokie is not installed, or does not know the file
            log.warning("the early tokenizer is not used: %s", error)
    return whole()


def wordless(tokenizer: Tokenizer | EarlyTokenizer) -> frozenset[int]:
    """Find the token ids that stand for no word."""
    if isinstance(tokenizer, EarlyTokenizer):
        return frozenset(tokenizer.early.wordless)
    return tokens.wordless(tokenizer)


def open_whole(directory: Path, manifest: Manifest) -> Tokenizer:
    """Open the tokenizer of a packed model; raises ModelError if it is damaged."""
    from tokenizers import Tokenizer

    path = directory / NAME
    manifests.glance(directory, {NAME: manifest.files[NAME]})
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception for a bad file
        raise EngineError(f"tokenizers cannot read {path}: {error}") from error
    side = (tokenizer.truncation or {}).get("direction", "right")
    return tokens.prepare(tokenizer, manifest.max_length, side)
