"""Tell what a running rehearsal does at this moment, for its page at /_rehearse/."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rehearse.data_types import ServerlessConfig

if TYPE_CHECKING:
    from rehearse.data_plane.endpoints import Endpoints

PATH = "/_rehearse/"
STATE_PATH = "/_rehearse/state"
TEMPLATE = Path(__file__).with_name("live_page.html")
LOG_LINES = 200


class LivePage:
    """The page, its state as JSON, and the last log lines of all containers."""

    def __init__(self, endpoints: Endpoints, bill: Callable[[], Mapping[str, Any]]) -> None:
        self._endpoints = endpoints
        self._bill = bill
        self._lines: deque[tuple[float, str, str]] = deque(maxlen=LOG_LINES)

    def log(self, endpoint: str, line: str) -> None:
        """Keep a log line, from any thread."""
        self._lines.append((time.time(), endpoint, line))

    def html(self) -> str:
        """Return the page, which asks for the state every second."""
        return TEMPLATE.read_text(encoding="utf-8")

    def state(self) -> dict[str, Any]:
        """Return environments, calls, throttles and cost of each variant, and the log."""
        bill = self._bill()
        used = {(row["arn"], row["variant"]): row for row in bill["accounts"]}
        variants = []
        for arn, name, variant in self._endpoints.running():
            config, (environments, idle) = variant.config, variant.sizes()
            row = used.get((arn, name), {})
            most, memory_mb = 1, None  # one container stands for all instances
            if isinstance(config, ServerlessConfig):
                most, memory_mb = config.max_concurrency, config.memory_mb
            variants.append(
                {
                    "endpoint": arn.rpartition("/")[2],
                    "variant": name,
                    "environments": environments,
                    "busy": environments - idle,
                    "most": most,
                    "memory_mb": memory_mb,
                    **{each: row.get(each, 0) for each in ("invocations", "cold", "throttled")},
                    "usd": row.get("usd", 0.0),
                }
            )
        return {
            "time": time.time(),
            "usd": bill["usd"],
            "variants": variants,
            "log": [*self._lines],
        }
