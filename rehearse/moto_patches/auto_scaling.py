"""Let moto's Application Auto Scaling take one more dimension."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from enum import Enum
from typing import Any

from rehearse.moto_patches.names import replace


def patch_auto_scaling(dimension: str, check: Callable[[str, str, str], None]) -> None:
    """Let moto take one more dimension; `check` gets account, region and resource ID."""

    def register(backend: Any, namespace: str, r_id: str, asked: str, **more: Any) -> Any:
        if asked == dimension:
            check(backend.account_id, backend.region_name, r_id)
        return original(backend, namespace, r_id, asked, **more)

    module = "moto.applicationautoscaling"
    known = pkgutil.resolve_name(f"{module}.models.ScalableDimensionValueSet")
    if dimension not in [each.value for each in known]:
        # An enum cannot be added to, so it is made anew.
        members = {each.name: each.value for each in known} | {"ADDED": dimension}
        enum: Any = Enum
        made = enum(known.__name__, members)
        for place in ("models", "responses"):
            replace(f"{module}.{place}.ScalableDimensionValueSet", made)
    original = replace(
        f"{module}.models.ApplicationAutoscalingBackend.register_scalable_target", register
    )
