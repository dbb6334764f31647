"""Run servers in containers, under the limits of a memory size and the platform's restrictions.

Needs a Docker engine; https://docker-py.readthedocs.io finds it as the docker client does.
"""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import cpu_kind
from benchmarks.harness.client import AnswerError, Client
from benchmarks.harness.servers import PLAIN, ROOT
from platform_facts import CALL_SECONDS, MEMORY_SIZES_MB, MODEL_DIR, PORT, sandbox, vcpus

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

POLL_SECONDS = 0.05


class GoneError(Exception):
    """A container did not live through what it was asked; the message says why."""


@dataclass(frozen=True)
class Setup:
    """What runs in a container: a command, and folders mounted read-only at paths."""

    command: tuple[str, ...]
    mounts: Mapping[Path, str]
    folder: str = "/tmp"


def ours(model: Path) -> Setup:
    """Return this project's server, as SageMaker starts it."""
    return Setup(("serve",), {model: MODEL_DIR})


def plain(model: Path) -> Setup:
    """Return the plain container: the same packages, the code of compare/plain_container."""
    command = ("gunicorn", "--bind", f"0.0.0.0:{PORT}", "--timeout", "60", "app:app")
    return Setup(command, {model: MODEL_DIR, PLAIN: "/app"}, "/app")


@dataclass
class Running:
    """A running container and a client of it."""

    container: Container
    client: Client
    port: int
    asked: float  # time.time() just before the engine was asked for it

    def post(self, body: bytes) -> float:
        """Return the seconds an answer takes; raises GoneError with the reason when none comes."""
        start = time.perf_counter()
        try:
            self.client.post(body)
        except (AnswerError, OSError) as error:
            raise GoneError(self.reason(error)) from error
        return time.perf_counter() - start

    def wait(self, body: bytes) -> None:
        """Wait until the first answer; raises GoneError."""
        try:
            self.client.wait(body, lambda: not self.killed(), POLL_SECONDS)
        except (AnswerError, OSError) as error:
            raise GoneError(self.reason(error)) from error

    def alive(self) -> bool:
        """Tell whether it has not ended."""
        self.container.reload()
        return bool(self.container.status == "running")

    def killed(self) -> bool:
        """Tell whether it has ended, or its worker was killed (SIGKILL: for memory)."""
        return not self.alive() or b"SIGKILL" in self.container.logs(tail=50)

    def reason(self, error: Exception) -> str:
        """Say why no answer came."""
        if self.killed():
            return "killed for want of memory"
        if isinstance(error, TimeoutError):
            return f"no answer within {CALL_SECONDS:.0f} seconds"
        return str(error) or type(error).__name__


@contextmanager
def running(
    image: str,
    setup: Setup,
    memory: int,
    environment: Mapping[str, str] | None = None,
    cpus: float | None = None,
) -> Iterator[Running]:
    """Run a container as the platform runs one of a memory size, and always remove it.

    `cpus`: other than the CPU share of that size.
    """
    import docker

    options = sandbox.options(memory, os.cpu_count() or 1)
    if cpus:
        options["nano_cpus"] = int(cpus * 1e9)
    engine = docker.from_env()
    variables, mounts = dict(environment or {}), {**setup.mounts}
    if cpu_kind.hidden():
        variables = cpu_kind.environment(_variables(engine, image) | variables, cpu_kind.MASK_THERE)
        mounts |= cpu_kind.mounts()
    asked = time.time()
    container = engine.containers.run(
        image,
        list(setup.command),
        detach=True,
        environment=variables,
        ports={sandbox.TCP_PORT: ("127.0.0.1", 0)},
        volumes=[f"{source.resolve()}:{path}:ro" for source, path in mounts.items()],
        working_dir=setup.folder,
        **options,
    )
    try:
        container.reload()
        (published, *_) = container.ports[sandbox.TCP_PORT] or [{}]
        port = int(published["HostPort"])
        with closing(Client(port, CALL_SECONDS)) as client:
            yield Running(container, client, port, asked)
    finally:
        container.remove(force=True)
        engine.close()


def _variables(engine: DockerClient, image: str) -> dict[str, str]:
    """Return the environment that an image sets."""
    found = engine.images.get(image).attrs["Config"]["Env"] or []
    return dict(each.split("=", 1) for each in found)


def fitting() -> list[int]:
    """Return the memory sizes whose CPU share this machine has."""
    return [size for size in MEMORY_SIZES_MB if vcpus(size) <= (os.cpu_count() or 1)]


def default_image(target: str = "full") -> str:
    """Return the tag that ./build.sh build --target gives."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return f"{project['name']}:{project['version']}-{target}"


def size(image: str) -> int:
    """Return the bytes of an image; raises DockerException when there is none, or no engine."""
    import docker

    with closing(docker.from_env()) as engine:
        return int(engine.images.get(image).attrs["Size"])


def named(image: str) -> str:
    """Name an image, and the revision of the source that it was built from."""
    import docker

    with closing(docker.from_env()) as engine:
        labels = engine.images.get(image).labels
    return f"image {image}, revision {labels.get('org.opencontainers.image.revision', 'unknown')}"


def missing(image: str) -> str:
    """Say why containers of an image cannot be measured here; empty if they can."""
    import docker
    from docker.errors import DockerException, ImageNotFound

    try:
        with closing(docker.from_env()) as engine:
            engine.images.get(image)
    except ImageNotFound:
        return f"there is no image {image}; ./build.sh build makes it"
    except DockerException as error:
        return f"no Docker engine answers ({type(error).__name__})"
    return ""
