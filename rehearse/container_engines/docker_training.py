"""Run the image of a training job in the local Docker engine.

What is below /opt/ml is copied in before the start and copied out after the end: the container may
be root's, and what root writes into a folder of ours we could not remove.
"""

from __future__ import annotations

import contextlib
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from docker.errors import DockerException, NotFound
from docker.models.containers import Container as DockersContainer
from docker.types import Mount

from platform_facts import OPT_ML
from rehearse.container_engines.docker_engine import DockerContainer
from rehearse.data_types import TrainingContainer
from rehearse.errors import ContainerEngineError

# What it was given, which has not to be copied back.
INPUT = "input"


def options(container: TrainingContainer) -> dict[str, Any]:
    """Return the keyword arguments of docker-py's `containers.create`.

    An instance has no sandbox: a root that can be written, the user of the image, the network. What
    the image itself has at /opt/ml is not seen:
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html
    """
    return {
        "entrypoint": list(container.entrypoint) or None,
        "environment": dict(container.environment),
        "hostname": "algo-1",
        "mounts": [Mount(OPT_ML, None, type="volume", no_copy=True)],
        "network_mode": "none" if container.isolated else None,
    }


def copy_in(container: DockersContainer, folder: Path) -> None:
    """Copy a folder to /opt/ml, where any user may write."""

    def for_all(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.mode = 0o777 if member.isdir() else 0o666
        return member

    with tempfile.TemporaryFile(dir=folder.parent) as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(folder, OPT_ML.lstrip("/"), filter=for_all)
        archive.seek(0)
        container.put_archive("/", archive)


class DockerTraining(DockerContainer):
    """The container of a training job."""

    def __init__(
        self,
        container: DockersContainer,
        output: Any,
        log: Callable[[str], None],
        folder: Path,
    ) -> None:
        self._folder = folder
        super().__init__(container, output, log)

    def wait(self, seconds: float) -> int | None:
        """Wait so many seconds at most; return the exit code, or None while it runs."""
        if not self._ended.wait(seconds):
            return None
        try:
            return int(self.container.wait()["StatusCode"])
        except (DockerException, OSError) as error:  # somebody has removed it
            raise ContainerEngineError(f"the container has gone: {error}") from error

    def terminate(self) -> None:
        """Send SIGTERM to the first process."""
        self._terminate()

    def kill(self) -> None:
        """Send SIGKILL to all its processes."""
        with contextlib.suppress(DockerException, OSError):
            self.container.kill()

    def collect(self) -> None:
        """Copy what is below /opt/ml into the folder; links that lead out of it are refused."""
        known = [each.name for each in self._folder.iterdir() if each.name != INPUT]
        for name in known:
            try:
                parts, _ = self.container.get_archive(str(PurePosixPath(OPT_ML) / name))
            except NotFound:  # it has removed it
                continue
            except (DockerException, OSError) as error:
                raise ContainerEngineError(f"{name} cannot be copied: {error}") from error
            with tempfile.TemporaryFile(dir=self._folder.parent) as archive:
                for part in parts:
                    archive.write(part)
                archive.seek(0)
                with tarfile.open(fileobj=archive) as tar:
                    tar.extractall(self._folder, filter="data")
