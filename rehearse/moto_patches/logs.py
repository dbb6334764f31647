"""Let moto's CloudWatch Logs match events with filter patterns."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from moto.logs.exceptions import InvalidParameterException

from rehearse.errors import FilterPatternError
from rehearse.moto_patches.names import replace


def patch_logs(compiled: Callable[[str], Callable[[str], bool]]) -> None:
    """Let a function say what a pattern matches; moto knows words, and takes all else for all."""

    @lru_cache
    def matcher(pattern: str) -> Callable[[str], bool]:
        try:
            return compiled(pattern)
        except FilterPatternError as error:
            raise InvalidParameterException(f"Invalid filter pattern: {error}") from error

    class EventFilter:
        def __init__(self, pattern: str | None) -> None:
            self.matches = matcher(pattern or "")

    def filtered(backend: Any, *given: Any, **named: Any) -> Any:
        # Its pattern is the seventh; a wrong one is refused even where there is no event.
        EventFilter(named.get("filter_pattern") or (given[6] if len(given) > 6 else ""))
        return original(backend, *given, **named)

    replace("moto.logs.models.EventMessageFilter", EventFilter)
    original = replace("moto.logs.models.LogsBackend.filter_log_events", filtered)
