"""Capture what an endpoint is asked and answers, as a line of JSON in S3 for each call.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html; AWS writes
several lines into a file, and after minutes.
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from datetime import UTC, datetime
from typing import Any

from rehearse.data_plane.artifacts import split
from rehearse.data_types import DataCapture, Invocation, InvocationResponse, ProductionVariant


def capture(
    s3: Any,
    endpoint: str,
    variant: ProductionVariant,
    invocation: Invocation,
    response: InvocationResponse,
) -> None:
    """Write a call of a variant that captures, if it is in the sample; `s3` is a boto3 client."""
    wanted = variant.capture
    if wanted is None or random.random() * 100 >= wanted.percentage:
        return
    now = datetime.now(UTC)
    bodies = {
        "Input": (invocation.body, invocation.content_type or ""),
        "Output": (response.body, response.content_type),
    }
    captured = {
        f"endpoint{mode}": _part(wanted, mode, *bodies[mode])
        for mode in bodies
        if mode in wanted.modes
    }
    about: dict[str, Any] = {"eventId": str(uuid.uuid4())}
    if invocation.inference_id:
        about["inferenceId"] = invocation.inference_id
    if invocation.custom_attributes:
        about["customAttributes"] = [invocation.custom_attributes]
    about["inferenceTime"] = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    line = {"captureData": captured, "eventMetadata": about, "eventVersion": "0"}
    bucket, prefix = split(wanted.destination.rstrip("/") + "/")
    name = now.strftime("%Y/%m/%d/%H/%M-%S-%f")
    s3.put_object(
        Bucket=bucket,
        Key=f"{prefix}{endpoint}/{variant.name}/{name}-{uuid.uuid4()}.jsonl",
        Body=json.dumps(line).encode() + b"\n",
    )


def _part(wanted: DataCapture, mode: str, body: bytes, content_type: str) -> dict[str, str]:
    """Return one side of a call: as text where its type is said to be CSV or JSON."""
    kind = content_type.partition(";")[0].strip()
    encoding = "BASE64"
    if kind in wanted.csv_types:
        encoding = "CSV"
    elif kind in wanted.json_types:
        encoding = "JSON"
    text = (
        base64.b64encode(body).decode() if encoding == "BASE64" else body.decode(errors="replace")
    )
    return {
        "observedContentType": content_type,
        "mode": mode.upper(),
        "data": text,
        "encoding": encoding,
    }
