"""A job's wishes and a container's advice in, how payloads are made and sent out.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearse.engines import Environment

# Of the platform, where neither the job nor the container says anything.
PAYLOAD_MB = 6
CONCURRENT = 1
SECONDS = 2.0


@dataclass(frozen=True)
class Plan:
    """How payloads are made and sent: the job's wishes, then the container's, then defaults."""

    strategy: str
    payload_mb: int
    concurrent: int

    @classmethod
    def of(cls, job: Mapping[str, Any], advice: Mapping[str, Any]) -> Plan:
        """Values of the job go before those of GET /execution-parameters."""
        strategy = str(job.get("BatchStrategy") or advice.get("BatchStrategy") or "MultiRecord")
        return cls(
            # MultiRecord in the API, MULTI_RECORD in the container's answer.
            strategy="SingleRecord" if strategy.lower().startswith("single") else "MultiRecord",
            payload_mb=_first(0, PAYLOAD_MB, job, advice, "MaxPayloadInMB"),
            concurrent=_first(1, CONCURRENT, job, advice, "MaxConcurrentTransforms"),
        )


def _first(
    least: int, default: int, job: Mapping[str, Any], advice: Mapping[str, Any], name: str
) -> int:
    """The first that makes sense; the API has checked the job's."""
    for found in (job.get(name), advice.get(name)):
        if isinstance(found, int) and found >= least:
            return found
    return default


def advice(environment: Environment) -> dict[str, Any]:
    """GET /execution-parameters; a container need not have it."""
    try:
        status, _, body = environment.request("GET", "/execution-parameters", b"", {}, SECONDS)
        found = json.loads(body) if status == 200 else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
