"""Decode, predict and encode where the owner's code defines no function for it.

As AWS's toolkits do it, with JSON Lines and text besides, and without NumPy's pickles:
https://github.com/aws/sagemaker-huggingface-inference-toolkit/blob/main/src/sagemaker_huggingface_inference_toolkit/decoder_encoder.py
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from serve import wire
from serve.errors import BadRequest, NotAcceptable, UnsupportedMediaType, clip

TEXT = "text/plain"
# What the toolkits give to an input_fn as str; all else is bytes.
STRINGS = (wire.JSON, wire.CSV)
# One of these must stand in the first line of CSV, or a text would be taken for a name.
COLUMNS = ("inputs", "question", "context")


def media_type(content_type: str) -> str:
    """Cut the parameters off a Content-Type, or the first of several types in an Accept."""
    return content_type.partition(",")[0].partition(";")[0].strip().lower()


def string_or_bytes(body: bytes, content_type: str) -> str | bytes:
    """Turn a body into what an input_fn or transform_fn is given; raise BadRequest."""
    return _text(body) if media_type(content_type) in STRINGS else body


def decode(body: str | bytes, content_type: str) -> Any:
    """Turn a body into data: the JSON value, a list of the lines' values, or {"inputs": ...}.

    Raise UnsupportedMediaType or BadRequest.
    """
    kind = media_type(content_type)
    if kind == wire.JSON:
        return _json(body, "the body")
    if kind in wire.LINE_TYPES:
        lines = enumerate(_text(body).split("\n"), 1)
        return [_json(line, f"line {number}") for number, line in lines if line.strip()]
    if kind == wire.CSV:
        return _csv(_text(body))
    if kind == TEXT:
        return {"inputs": _text(body)}
    known = ", ".join((wire.JSON, wire.JSON_LINES, wire.CSV, TEXT))
    raise UnsupportedMediaType(
        f"Content-Type {clip(content_type)} cannot be read without an input_fn; send {known}"
    )


def predict(data: Any, model: Any) -> Any:
    """Call the model with the "inputs" of the data, or all of it, and its "parameters"."""
    if not isinstance(data, dict):
        return model(data)
    rest = dict(data)
    inputs = rest.pop("inputs", rest)
    parameters = rest.pop("parameters", None)
    if parameters is None:
        return model(inputs)
    if not isinstance(parameters, dict):
        raise BadRequest('"parameters" is not an object')
    return model(inputs, **parameters)


def encode(prediction: Any, accept: str) -> bytes:
    """Write a prediction as the first type of Accept; arrays and tensors become lists.

    Raise NotAcceptable; raise TypeError or ValueError when the prediction cannot be written.
    """
    kind = media_type(accept)
    if kind == wire.JSON:
        return _dumps(prediction)
    if kind in wire.LINE_TYPES:
        rows = prediction if isinstance(prediction, list) else [prediction]
        return b"".join(map(_dumps, rows))
    rows = prediction if isinstance(prediction, list) else [prediction]
    if kind == wire.CSV and all(isinstance(row, dict) for row in rows) and rows:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        return stream.getvalue().encode()
    raise NotAcceptable(
        f"Accept {clip(accept)} is not what this can be written as; ask for {wire.JSON} or "
        f"{wire.JSON_LINES}"
    )


def _text(body: str | bytes) -> str:
    try:
        return body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"the body is not valid UTF-8: {error.reason} at byte {error.start}"
        ) from None


def _json(text: str | bytes, what: str) -> Any:
    try:
        return json.loads(_text(text))
    except json.JSONDecodeError as error:
        raise BadRequest(f"{what} is not valid JSON: {error.msg} at column {error.colno}") from None
    except (RecursionError, ValueError):  # nested, or an integer with thousands of digits
        raise BadRequest(f"{what} holds JSON that is nested too deeply or too long") from None


def _csv(text: str) -> dict[str, Any]:
    if not any(name in text.partition("\n")[0].lower() for name in COLUMNS):
        raise BadRequest('the first line of CSV must name its columns, "inputs" among them')
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise BadRequest(f"the body is not valid CSV: {error}") from None
    if not rows:
        raise BadRequest("the body holds no record")
    return {"inputs": [row["inputs"] for row in rows] if "inputs" in rows[0] else rows}


def _dumps(value: Any) -> bytes:
    return json.dumps(value, default=_plain, allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Turn an array, a tensor or a number of NumPy's into what JSON has."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON; define output_fn")
