"""Build images whose command is a script of ours, on top of this project's image."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker


@contextmanager
def scripted_image(base: str, command: str, script: Path) -> Iterator[str]:
    """Build an image with this command, `serve` or `train`; it is removed after the block."""
    client = docker.from_env()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, body in (
            ("Dockerfile", f"FROM {base}\nCOPY {command} /opt/venv/bin/{command}\n".encode()),
            (command, script.read_bytes()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o755
            tar.addfile(entry, io.BytesIO(body))
    context.seek(0)
    tag = f"rehearse-test:scripted-{command}"
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
    try:
        yield tag
    finally:
        client.images.remove(tag, force=True)
        client.close()
