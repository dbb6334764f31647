"""Run images of the local Docker engine, in the sandbox of a serverless environment.

https://docker-py.readthedocs.io finds the engine as the docker client does.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import docker
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container as DockersContainer
from docker.types import Mount

from platform_facts import DISK_GB, MODEL_DIR, sandbox
from rehearse import owner
from rehearse.container_engines.running_container import LogLines, RunningContainer
from rehearse.data_types import ContainerDefinition, TrainingContainer
from rehearse.errors import ContainerEngineError

if TYPE_CHECKING:
    from rehearse.container_engines.docker_training import DockerTraining

Started = TypeVar("Started", bound="DockerContainer")
RUN_LABEL = "rehearse.run"
# Memory that runs out may end a process below the first one only. Docker notes it, but later.
OUT_OF_MEMORY_SECONDS = 3.0
OUT_OF_MEMORY_POLL_SECONDS = 0.05


class DockerEngine:
    """Runs images of the local Docker engine; none is pulled.

    `run` is the value of the label of every container that it has started.
    """

    def __init__(self) -> None:
        self.run = uuid.uuid4().hex
        try:
            self._client = docker.from_env()
            self._cpus = int(self._client.info()["NCPU"])
        except DockerException as error:
            raise ContainerEngineError(
                "no Docker engine answers; start it, or use --engine process"
            ) from error
        self.not_imposed: tuple[str, ...] = (
            f"/tmp is limited to {DISK_GB} GB, but lies in memory, "
            "and what is there counts as such",
            f"the CPU share ends at the {self._cpus} CPUs of this machine",
        )

    def start(
        self, definition: ContainerDefinition, memory_mb: int, log: Callable[[str], None]
    ) -> DockerContainer:
        """Start a container; raise ContainerEngineError without its image, or without `serve`."""
        options = self._options(definition, memory_mb)
        made = self._create(definition.image, ["serve"], options)
        return _started(made, lambda output: DockerContainer(made, output, log))

    def train(self, container: TrainingContainer, log: Callable[[str], None]) -> DockerTraining:
        from rehearse.container_engines import docker_training

        made = self._create(
            container.image, list(container.arguments), docker_training.options(container)
        )
        return _started(
            made,
            lambda output: docker_training.DockerTraining(made, output, log, container.folder),
            before=lambda: docker_training.copy_in(made, container.folder),
        )

    def _create(self, image: str, command: list[str], options: dict[str, Any]) -> DockersContainer:
        labels = {RUN_LABEL: self.run, owner.LABEL: owner.owner()}
        try:
            return self._client.containers.create(image, command, labels=labels, **options)
        except ImageNotFound as error:
            raise ContainerEngineError(
                f"there is no image {image} here; build it, or `docker pull` it, "
                "and give it that name with `docker tag`"
            ) from error
        except (DockerException, OSError) as error:
            raise ContainerEngineError(f"{image} cannot be run: {_words(error)}") from error

    def _options(self, definition: ContainerDefinition, memory_mb: int) -> dict[str, Any]:
        mounts = []
        if definition.model_dir:
            source = str(definition.model_dir.resolve())
            mounts.append(Mount(MODEL_DIR, source, type="bind", read_only=True))
        return {
            **sandbox.options(memory_mb, self._cpus),
            "environment": dict(definition.environment),
            "mounts": mounts,
            "ports": {sandbox.TCP_PORT: ("127.0.0.1", None)},
        }

    def close(self) -> None:
        """Remove every container of this run, whatever became of it."""
        label: dict[str, str | list[str] | bool] = {"label": f"{RUN_LABEL}={self.run}"}
        with contextlib.suppress(DockerException, OSError):
            for container in self._client.containers.list(all=True, filters=label):
                _remove(container)
            self._client.close()

    def end_leftovers(self) -> int:
        ended = 0
        with contextlib.suppress(DockerException, OSError):
            for each in self._client.containers.list(all=True, filters={"label": owner.LABEL}):
                if owner.is_dead(each.labels[owner.LABEL]):
                    _remove(each)
                    ended += 1
        return ended


class DockerContainer(RunningContainer):
    """One container of the Docker engine."""

    def __init__(
        self, container: DockersContainer, output: Any, log: Callable[[str], None]
    ) -> None:
        self.container = container
        # A container that has ended already has no published port; nobody answers on port 0.
        (published, *_) = container.ports.get(sandbox.TCP_PORT) or [{"HostPort": "0"}]
        super().__init__(int(published["HostPort"]))
        self._api: Any = container.client.api  # type: ignore[union-attr]  # it has one
        self._output, self._log = output, log
        self._ended = threading.Event()
        self._log_reader = threading.Thread(target=self._read, name="log", daemon=True)
        self._log_reader.start()

    def memory_bytes(self) -> int | None:
        """Return the bytes of its control group, without what is only cached."""
        try:
            # one_shot: without waiting a second for a second reading of the CPU.
            found = self._api.stats(self.container.id, stream=False, one_shot=True)["memory_stats"]
            cached = found["stats"].get("total_inactive_file", found["stats"].get("inactive_file"))
            return int(found["usage"]) - int(cached or 0)
        except (DockerException, OSError, LookupError):  # it has just ended
            return None

    def out_of_memory(self, since: float) -> bool:
        """Return whether the kernel has ended one of its processes for want of memory.

        State.OOMKilled is set when the first process ends, and tells of it alone; a server that
        starts another worker lives on. Events tell of all:
        https://docs.docker.com/reference/cli/docker/system/events/
        """
        if self._stopped:
            return False
        wanted = {"container": self.container.id, "event": "oom"}
        end = time.monotonic() + OUT_OF_MEMORY_SECONDS
        with contextlib.suppress(DockerException, OSError):
            while time.monotonic() < end:
                self.container.reload()
                state = self.container.attrs["State"]
                if state["OOMKilled"] or list(self._api.events(since - 1, time.time(), wanted)):
                    return True
                if not state["Running"]:
                    return False
                time.sleep(OUT_OF_MEMORY_POLL_SECONDS)
        return False

    def alive(self) -> bool:
        """Return whether its output has not ended, which it does with the container."""
        return not self._ended.is_set()

    def _suspend(self) -> None:
        try:
            self.container.pause()
        except (DockerException, OSError) as error:
            if self.alive():
                self._log(f"rehearse: this container cannot be paused: {_words(error)}")

    def _resume(self) -> None:
        with contextlib.suppress(DockerException, OSError):
            self.container.unpause()

    def _terminate(self) -> None:
        with contextlib.suppress(DockerException, OSError):
            self.container.kill("SIGTERM")

    def _remove(self) -> None:
        _remove(self.container)

    def _read(self) -> None:
        """Log both streams, each line whole, also a last one that ends without a newline."""
        streams = (LogLines(self._log), LogLines(self._log))
        try:
            with contextlib.suppress(OSError, ValueError):  # Docker has closed the connection
                for parts in self._output:
                    for lines, part in zip(streams, parts, strict=True):
                        lines.feed(part or b"")
            for lines in streams:
                lines.end()
        finally:
            self._ended.set()
            _close(self._output)


def _started(
    made: DockersContainer,
    run: Callable[[Any], Started],
    before: Callable[[], None] = lambda: None,
) -> Started:
    """Start a container that has been made, and return what `run` makes of its output.

    It is removed, and ContainerEngineError raised, where that or `before` fails.
    """
    with contextlib.ExitStack() as undo:
        undo.callback(_remove, made)
        try:
            before()
            # Attached before the start, so that no line is missed.
            output = made.attach(stream=True, logs=True, demux=True)
            undo.callback(_close, output)
            made.start()
            made.reload()
            running = run(output)
        except (DockerException, OSError) as error:
            image = made.attrs["Config"]["Image"]
            raise ContainerEngineError(f"{image} cannot be run: {_words(error)}") from error
        undo.pop_all()
    return running


def _remove(container: DockersContainer) -> None:
    # Somebody else may have removed it.
    with contextlib.suppress(DockerException, OSError):
        container.remove(force=True, v=True)


def _close(output: Any) -> None:
    """Close the connection of an output, which docker-py leaves to the garbage collector.

    `_response` is a private name of docker 7.2; a test checks that it is there.
    """
    output._response.close()


def _words(error: Exception) -> str:
    """Return what the Docker engine says, in one line."""
    return " ".join(str(getattr(error, "explanation", None) or error).split())
