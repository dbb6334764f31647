"""Read from the headers of a request how its body is to be read and answered.

The platform passes on these of a client's headers, and no others:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from werkzeug.datastructures import MIMEAccept

from serve import wire
from serve.errors import BadRequest, NotAcceptable, UnsupportedMediaType, clip
from serve.settings import share

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from serve.request_summary import RequestSummary

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
ATTRIBUTES_CHARACTERS = 1024
INFERENCE_ID_CHARACTERS = 64
# ASCII is read as what it is part of.
_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}


class RequestOptions(NamedTuple):
    """What a request asks for: the type of its body ("" if not told), and that of the answer."""

    media_type: str
    answer_type: str
    scores: bool  # of all labels
    threshold: float | None  # of the labels that are predicted, where there may be several
    report: bool  # bad lines, in their places


def read(request: Request, body_format: ModuleType = wire) -> RequestOptions:
    """Read what a request asks for; `body_format` is the module that reads its body and answers it.

    Raise BadRequest, NotAcceptable or UnsupportedMediaType with what can be asked for.
    """
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.strip().lower() not in _CHARSETS:
        raise BadRequest(f"charset {clip(charset)} is not read; send UTF-8")
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"Content-Encoding {clip(encoding)} cannot be read; send the body as it is"
        )
    if request.mimetype not in ("", *body_format.OFFERED):  # refused before the body is received
        raise wire.unreadable(request.mimetype, body_format.READABLE)
    wishes = {wish.strip().lower() for wish in attributes(request).split(",")}
    return RequestOptions(
        request.mimetype,
        _answer_type(request, body_format),
        scores="scores=all" in wishes,
        threshold=_threshold(wishes),
        report="on-bad-record=report" in wishes,
    )


def _threshold(wishes: Iterable[str]) -> float | None:
    """Read the number of `threshold=0.3`; None where it was not sent."""
    given = next((wish for wish in wishes if wish.startswith("threshold=")), None)
    if given is None:
        return None
    try:
        return share(given.removeprefix("threshold="))
    except ValueError:
        raise BadRequest(f"{clip(given)} in {ATTRIBUTES}: use a number from 0 to 1") from None


def _answer_type(request: Request, body_format: ModuleType) -> str:
    """Return the type that Accept prefers, or else what is usual for the type of the body."""
    usual: str = body_format.usual(request.mimetype)
    # Without parameters: `application/json; charset=utf-8` means what we offer.
    kinds = [(kind.partition(";")[0].strip(), best) for kind, best in request.accept_mimetypes]
    accept = MIMEAccept([(kind, best) for kind, best in kinds if kind])
    if not accept:
        return usual
    # The first of the best, so the usual type leads.
    chosen: str = max((usual, *body_format.OFFERED), key=accept.quality)
    if accept.quality(chosen) <= 0:
        offered = ", ".join(body_format.OFFERED)
        raise NotAcceptable(
            f"Accept {clip(request.headers['Accept'])} is not offered; ask for {offered}"
        )
    return chosen


def attributes(request: Request) -> str:
    """Return the custom attributes that were sent; "" if the platform would not pass them on."""
    return _plain(request.headers.get(ATTRIBUTES, ""), ATTRIBUTES_CHARACTERS)


def inference_id(request: Request) -> str:
    """Return the inference id that was sent; "" if the platform would not pass it on."""
    return _plain(request.headers.get(INFERENCE_ID, ""), INFERENCE_ID_CHARACTERS)


def _plain(value: str, most: int) -> str:
    return value if len(value) <= most and value.isascii() and value.isprintable() else ""


def add_headers(response: Response, summary: RequestSummary) -> None:
    """Put the ids of a request into the headers of its answer, and what the model did."""
    usage = summary.usage
    ours = f"cold={int(usage.cold)},model-ms={summary.model_ms}"
    for name, count in (("truncated", usage.truncated), ("unknown", usage.unknown)):
        ours += f",{name}={count}" if count else ""
    given = summary.attributes
    both = f"{given},{ours}" if given else ours
    response.headers[ATTRIBUTES] = both if len(both) <= ATTRIBUTES_CHARACTERS else ours
    if summary.inference_id:
        response.headers[INFERENCE_ID] = summary.inference_id
