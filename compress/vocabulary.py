"""Leave out the pieces of a vocabulary that texts never use, by the rules of each tokenizer model.

All that is done is on the fields of tokenizer.json, the one form that every fast tokenizer has:
https://huggingface.co/docs/tokenizers/api/models
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_handler import tokens
from model_handler.errors import ArtifactError
from model_handler.tokens import Text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Bytes of a character that has no piece: https://huggingface.co/docs/tokenizers/api/models
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# Places that BERT's vocabularies leave for pieces of one's own.
_UNUSED = re.compile(r"\[unused\d+\]")


def used(tokenizer: Tokenizer, texts: Sequence[Text]) -> set[int]:
    """Return the ids of all pieces that texts use, whole texts and special tokens included."""
    from tokenizers import Tokenizer

    whole = Tokenizer.from_str(tokenizer.to_str())
    whole.no_truncation()
    return {piece for row in tokens.encode(whole, texts) for piece in row.ids}


def kept(
    fields: Mapping[str, Any], wanted: Collection[int], pad_id: int, least: int = 0
) -> list[int]:
    """Return the ids to keep, in order: those wanted, and those that the tokenizer cannot lack.

    `fields` are those of tokenizer.json. With these ids it splits a text that uses wanted pieces
    only as it did before; other words fall back to smaller pieces, in the end to single characters
    or bytes, which all stay. So do the ids up to that of padding: RoBERTa and its kin count
    positions from it. If these are fewer than `least`, the first of the others are kept as well:
    vocabularies begin with the most frequent.
    """
    pieces = _pieces(fields)
    spelled = dict(pieces)
    found = {*wanted, *range(pad_id + 1)} | _special(fields)
    model = fields["model"]
    suffix = model.get("end_of_word_suffix") or ""
    found |= {place for piece, place in pieces if _is_basic(piece, _prefix(model), suffix)}
    found |= {spelled[model["unk_token"]]} if model.get("unk_token") in spelled else set()
    if len(found) < least:
        others = (at for piece, at in pieces if at not in found and not _UNUSED.fullmatch(piece))
        found |= set(sorted(others)[: least - len(found)])
    if model["type"] == "BPE":
        found |= _merged(model, spelled, found)
    if model["type"] == "Unigram":
        # An unknown character costs more than the worst piece, so the worst one stays.
        found |= {model["unk_id"], min(range(len(pieces)), key=lambda at: model["vocab"][at][1])}
    known = {place for _, place in pieces} | {each["id"] for each in fields["added_tokens"]}
    return sorted(place for place in found if place in known)


def smaller(fields: Mapping[str, Any], ids: Sequence[int]) -> dict[str, Any]:
    """Return the fields of tokenizer.json with the pieces `ids` alone, numbered in their order."""
    places = {old: new for new, old in enumerate(ids)}
    model = dict(fields["model"])
    if model["type"] == "Unigram":
        model["vocab"] = [piece for at, piece in enumerate(model["vocab"]) if at in places]
        model["unk_id"] = None if model["unk_id"] is None else places[model["unk_id"]]
    else:
        model["vocab"] = {
            piece: places[at]
            for piece, at in sorted(model["vocab"].items(), key=lambda x: x[1])
            if at in places
        }
    if model["type"] == "BPE":
        model["merges"] = [
            pair
            for pair in model["merges"]
            if all(each in model["vocab"] for each in _parts(pair, _prefix(model)))
        ]
    found = dict(fields) | {"model": model}
    found["added_tokens"] = [each | {"id": places[each["id"]]} for each in fields["added_tokens"]]
    found["post_processor"] = _renumbered(fields.get("post_processor"), places.__getitem__)
    if fields.get("padding"):
        found["padding"] = fields["padding"] | {"pad_id": places[fields["padding"]["pad_id"]]}
    return found


def write(tokenizer: Any, fields: Mapping[str, Any], out: Path) -> None:
    """Write the files of a transformers tokenizer to `out`, with these fields of tokenizer.json.

    Raises ArtifactError where transformers would read them as another tokenizer.
    """
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(out)
    wanted = Tokenizer.from_str(json.dumps(fields))
    wanted.save(str(out / "tokenizer.json"))
    path = out / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings.pop("added_tokens_decoder", None)  # by ids as they were; tokenizer.json has them, too
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")
    read = AutoTokenizer.from_pretrained(out, local_files_only=True).backend_tokenizer
    if read.get_vocab() != wanted.get_vocab():
        raise ArtifactError(
            f"transformers makes another vocabulary of {type(tokenizer).__name__}'s files once "
            "pieces are left out; keep all with --keep-vocabulary"
        )


def _pieces(fields: Mapping[str, Any]) -> list[tuple[str, int]]:
    vocab = fields["model"]["vocab"]
    if isinstance(vocab, list):
        return [(piece, place) for place, (piece, _) in enumerate(vocab)]
    return list(vocab.items())


def _prefix(model: Mapping[str, Any]) -> str:
    """Return the mark of pieces that do not begin a word, such as "##"."""
    return model.get("continuing_subword_prefix") or ""


def _is_basic(piece: str, prefix: str, suffix: str) -> bool:
    """Tell whether a piece is a single character, at any place in a word, or a byte."""
    return len(piece.removeprefix(prefix).removesuffix(suffix)) <= 1 or bool(_BYTE.fullmatch(piece))


def _special(fields: Mapping[str, Any]) -> set[int]:
    """Return the ids of all tokens that are named outside of the model."""
    found = {each["id"] for each in fields["added_tokens"]}
    _renumbered(fields.get("post_processor"), lambda place: found.add(place) or place)  # type: ignore[func-returns-value]  # it is None
    return found


def _parts(pair: str | list[str], prefix: str) -> tuple[str, str, str]:
    """Return both parts of a merge, which is "a b" or ["a", "b"], and what they make."""
    first, second = pair.split(" ") if isinstance(pair, str) else pair
    return first, second, first + second.removeprefix(prefix)


def _merged(model: Mapping[str, Any], spelled: Mapping[str, int], wanted: set[int]) -> set[int]:
    """Return all pieces that merges go through to make the wanted ones."""
    made_of: dict[str, list[str]] = defaultdict(list)
    for pair in model["merges"]:
        first, second, whole = _parts(pair, _prefix(model))
        made_of[whole] += first, second
    found: set[str] = set()
    waiting = [piece for piece, place in spelled.items() if place in wanted]
    while waiting:
        piece = waiting.pop()
        if piece not in found:
            found.add(piece)
            waiting += made_of[piece]
    return {spelled[piece] for piece in found if piece in spelled}


def _renumbered(part: Any, number: Callable[[int], int]) -> Any:
    """Return a post-processor with other ids; `number` is called with each."""
    if not part:
        return part
    part = dict(part)
    if part["type"] == "Sequence":
        part["processors"] = [_renumbered(each, number) for each in part["processors"]]
    for role in ("cls", "sep"):
        if isinstance(part.get(role), list):
            token, place = part[role]
            part[role] = [token, number(place)]
    if part["type"] == "TemplateProcessing":
        part["special_tokens"] = {
            name: each | {"ids": [number(place) for place in each["ids"]]}
            for name, each in part["special_tokens"].items()
        }
    return part
