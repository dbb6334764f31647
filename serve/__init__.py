"""Serve a model over HTTP as SageMaker asks it to; nothing here knows of tensors.

Read serve/app.py first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Import Flask only when the application is asked for: gunicorn opens the port before that."""
    if name in __all__:
        from serve import app

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
