"""HTTP: bytes in, bytes out. Knows nothing of tensors."""

from serve.app import create_app

__all__ = ["create_app"]
