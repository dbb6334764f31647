"""A container in, the same run by Docker out, in the sandbox of a serverless environment.

https://docker-py.readthedocs.io finds the Docker engine as the docker client does.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rehearse.engines import EngineError
from rehearse.engines.docker_environment import PORT, DockerEnvironment, close
from rehearse.model import Container

if TYPE_CHECKING:
    from docker.models.containers import Container as Running

# 1 vCPU at 1,769 MB, in proportion. Of Lambda, which serverless endpoints run on; SageMaker's own
# share is undocumented: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEGABYTES_PER_VCPU = 1769
# "Serverless root file system is read-only": https://github.com/autogluon/autogluon-cloud/pull/242
# uid and gid are Lambda's, whatever USER says: https://lib.rs/crates/run-command-on-aws-lambda
# No /dev/shm, as on Lambda: https://github.com/joblib/loky/issues/42; ipc "none" mounts none.
SANDBOX: Mapping[str, Any] = {
    "read_only": True,
    "user": "993:990",
    "tmpfs": {"/tmp": "size=5g,mode=1777"},
    "ipc_mode": "none",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "healthcheck": {"test": ["NONE"]},  # the platform pings by itself
}
RUN_LABEL = "rehearse.run"


class DockerEngine:
    """Runs images of the local Docker engine; none is pulled.

    `run` is the value of the label of every container it has started.
    """

    def __init__(self) -> None:
        import docker
        from docker.errors import DockerException

        self.run = uuid.uuid4().hex
        try:
            self._client = docker.from_env()
            self._cpus = int(self._client.info()["NCPU"])
        except DockerException as error:
            raise EngineError(
                "no Docker engine answers; start it, or use --engine process"
            ) from error
        self.limits: tuple[str, ...] = (
            "/tmp is limited to 5 GB, but lies in memory, and what is there counts as such",
            f"the CPU share ends at the {self._cpus} CPUs of this machine",
        )

    def start(
        self, container: Container, memory_mb: int, log: Callable[[str], None]
    ) -> DockerEnvironment:
        """Raises EngineError if there is no such image, or it has no `serve`."""
        from docker.errors import DockerException, ImageNotFound

        try:
            made = self._client.containers.create(
                container.image, ["serve"], **self._options(container, memory_mb)
            )
        except ImageNotFound as error:
            raise EngineError(
                f"there is no image {container.image} here; build it, or `docker pull` it, "
                "and give it that name with `docker tag`"
            ) from error
        except (DockerException, OSError) as error:
            raise EngineError(f"{container.image} cannot be run: {_words(error)}") from error
        with contextlib.ExitStack() as undo:
            undo.callback(_remove, made)
            try:
                # Before the start, so that no line is missed.
                output = made.attach(stream=True, logs=True, demux=True)
                undo.callback(close, output)
                made.start()
                made.reload()
                environment = DockerEnvironment(made, output, log)
            except (DockerException, OSError) as error:
                raise EngineError(f"{container.image} cannot be run: {_words(error)}") from error
            undo.pop_all()
        return environment

    def _options(self, container: Container, memory_mb: int) -> dict[str, Any]:
        from docker.types import Mount

        mounts = []
        if container.model:
            model = str(container.model.resolve())
            mounts.append(Mount("/opt/ml/model", model, type="bind", read_only=True))
        return {
            **SANDBOX,
            "environment": dict(container.environment),
            "labels": {RUN_LABEL: self.run},
            "mem_limit": f"{memory_mb}m",
            "memswap_limit": f"{memory_mb}m",  # no swap
            "nano_cpus": int(min(memory_mb / MEGABYTES_PER_VCPU, self._cpus) * 1e9),
            "mounts": mounts,
            "ports": {PORT: ("127.0.0.1", None)},
        }

    def close(self) -> None:
        """Remove every container of this run, whatever became of it."""
        from docker.errors import DockerException

        label: dict[str, str | list[str] | bool] = {"label": f"{RUN_LABEL}={self.run}"}
        with contextlib.suppress(DockerException, OSError):
            for container in self._client.containers.list(all=True, filters=label):
                _remove(container)
            self._client.close()


def _remove(container: Running) -> None:
    from docker.errors import DockerException

    with contextlib.suppress(DockerException, OSError):
        container.remove(force=True, v=True)


def _words(error: Exception) -> str:
    """What the engine says, in one line."""
    return " ".join(str(getattr(error, "explanation", None) or error).split())
