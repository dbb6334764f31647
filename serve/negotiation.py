"""Headers of a request in, what it asks for out: how to read its body and how to answer.

The platform passes on these of a client's headers, and no others:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.datastructures import MIMEAccept

from serve import wire
from serve.errors import BadRequest, NotAcceptable, UnsupportedMediaType, clip

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from serve.telemetry import Account

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
ATTRIBUTES_CHARACTERS = 1024
INFERENCE_ID_CHARACTERS = 64
# ASCII is read as what it is part of.
_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}


@dataclass(frozen=True)
class Ask:
    """What a request asks for: the type of its body ("" if not told), and that of the answer."""

    media_type: str
    answer_type: str
    scores: bool  # of all labels
    report: bool  # bad lines, in their places


def read(request: Request) -> Ask:
    """Raises BadRequest, NotAcceptable or UnsupportedMediaType with what can be asked for."""
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.strip().lower() not in _CHARSETS:
        raise BadRequest(f"charset {clip(charset)} is not read; send UTF-8")
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"Content-Encoding {clip(encoding)} cannot be read; send the body as it is"
        )
    if request.mimetype not in ("", *wire.OFFERED):  # refused before the body is received
        raise wire.unreadable(request.mimetype)
    wishes = {wish.strip().lower() for wish in attributes(request).split(",")}
    return Ask(
        request.mimetype,
        _answer_type(request),
        scores="scores=all" in wishes,
        report="on-bad-record=report" in wishes,
    )


def _answer_type(request: Request) -> str:
    """What Accept likes best; where it has no wish, CSV for CSV and else JSON Lines."""
    usual = wire.CSV if request.mimetype == wire.CSV else wire.JSON_LINES
    # Without parameters: `application/json; charset=utf-8` means what we offer.
    kinds = [(kind.partition(";")[0].strip(), best) for kind, best in request.accept_mimetypes]
    accept = MIMEAccept([(kind, best) for kind, best in kinds if kind])
    if not accept:
        return usual
    # The first of the best, so the usual type leads.
    chosen = max((usual, *wire.OFFERED), key=accept.quality)
    if accept.quality(chosen) <= 0:
        offered = ", ".join(wire.OFFERED)
        raise NotAcceptable(
            f"Accept {clip(request.headers['Accept'])} is not offered; ask for {offered}"
        )
    return chosen


def attributes(request: Request) -> str:
    """Custom attributes as they were sent; "" if they are not what the platform would pass on."""
    return _plain(request.headers.get(ATTRIBUTES, ""), ATTRIBUTES_CHARACTERS)


def inference_id(request: Request) -> str:
    """The inference id as it was sent; "" if it is not one that the platform would pass on."""
    return _plain(request.headers.get(INFERENCE_ID, ""), INFERENCE_ID_CHARACTERS)


def _plain(value: str, most: int) -> str:
    return value if len(value) <= most and value.isascii() and value.isprintable() else ""


def carry(response: Response, account: Account) -> None:
    """Put into a reply what its request had, and how the model did."""
    ours = f"cold={int(account.usage.cold)},model-ms={account.model_ms}"
    given = account.attributes
    both = f"{given},{ours}" if given else ours
    response.headers[ATTRIBUTES] = both if len(both) <= ATTRIBUTES_CHARACTERS else ours
    if account.inference_id:
        response.headers[INFERENCE_ID] = account.inference_id
