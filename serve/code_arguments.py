"""Define what the functions of an entry point are given: the context, and a model of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from model_handler import Handler, Text, Usage
from serve import errors, wire
from serve.records import Record, only_readable, record


class Context:
    """What a function may take as its last argument: part of the context of AWS's toolkits.

    https://github.com/awslabs/multi-model-server/blob/master/mms/context.py
    """

    def __init__(self, model_dir: str, request_id: str, headers: Mapping[str, str]) -> None:
        self.system_properties = {"model_dir": model_dir, "gpu_id": None, "batch_size": 1}
        self.response_content_type: str | None = None
        self._request_id = request_id
        self._headers = {name.lower(): value for name, value in headers.items()}

    def get_request_id(self, _idx: int = 0) -> str:
        """Return the id under which the log tells of this request; "" while loading."""
        return self._request_id

    def get_request_header(self, _idx: int, key: str) -> str | None:
        """Return a header of the request; `_idx` is always 0, there are no batches."""
        return self._headers.get(key.lower())

    def get_all_request_header(self, _idx: int = 0) -> dict[str, str]:
        """Return all headers of the request, by lower-case names."""
        return dict(self._headers)

    def set_response_content_type(self, _idx: int, value: str) -> None:
        """Choose the type of the answer, which otherwise is what Accept asked for."""
        self.response_content_type = value


class Classifier:
    """The model of the model directory, for a predict_fn where there is no model_fn.

    Call it, or its `predict`, with a text or a record as on a JSON Line ({"features": ["text"]}),
    or with a list of such: it gives what the server would answer, a dict, or a list of them.
    `scores=True` keeps those of all labels. ValueError is raised for what is no text or record.
    """

    def __init__(self, handler: Handler) -> None:
        self.usage = Usage()  # of the last call, since `begin`
        self._deadline = math.inf
        self._handler = handler

    def begin(self, deadline: float) -> None:
        """Begin with another request, whose deadline is this time by time.monotonic()."""
        self.usage = Usage()
        self._deadline = deadline

    def __call__(self, inputs: Any, *, scores: bool = False) -> Any:
        """Predict one text or record, or a list of them."""
        several = inputs if isinstance(inputs, list) else [inputs]
        pairs = self._handler.load(self._deadline).pairs
        records = [_record(number, value) for number, value in enumerate(several, 1)]
        texts = [_text(each) for each in only_readable(records, pairs)]
        scored = self._handler.score(texts, self._deadline, scores)
        self.usage = scored.usage
        found = [wire.value(each) for each in scored.predictions]
        return found if isinstance(inputs, list) else found[0]

    predict = __call__


def _record(number: int, value: Any) -> Record | errors.BadLine:
    return record(number, {"text": value} if isinstance(value, str) else value)


def _text(found: Record | errors.BadLine) -> Text:
    if isinstance(found, errors.BadLine):
        raise ValueError(f"record {found.number}: {found.reason}")
    return found.text
