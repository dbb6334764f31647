"""An image and a memory size in, a container with that size's CPU share out.

Needs a Docker engine; https://docker-py.readthedocs.io finds it as the docker client does.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness.client import AnswerError, Client
from benchmarks.harness.servers import PLAIN, ROOT

if TYPE_CHECKING:
    from docker.models.containers import Container

# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, "Memory size"
SIZES = (1024, 2048, 3072, 4096, 5120, 6144)
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEGABYTES_PER_VCPU = 1769
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05


class GoneError(Exception):
    """A container did not live through what it was asked; the message says why."""


@dataclass(frozen=True)
class Setup:
    """What runs in a container: a command, and folders mounted read-only at paths."""

    command: tuple[str, ...]
    mounts: Mapping[Path, str]
    folder: str = "/tmp"

    def volumes(self) -> dict[str, dict[str, str]]:
        """The mounts in the words of the SDK."""
        return {
            str(source.resolve()): {"bind": target, "mode": "ro"}
            for source, target in self.mounts.items()
        }


def ours(model: Path) -> Setup:
    """This project's server, as SageMaker starts it."""
    return Setup(("serve",), {model: "/opt/ml/model"})


def plain(model: Path) -> Setup:
    """The plain container: the same packages, the code of benchmarks/compare/plain_container."""
    command = ("gunicorn", "--bind", "0.0.0.0:8080", "--timeout", "60", "app:app")
    return Setup(command, {model: "/opt/ml/model", PLAIN: "/app"}, "/app")


@dataclass
class Running:
    """A running container and a client of it."""

    container: Container
    client: Client
    port: int

    def post(self, body: bytes) -> float:
        """Seconds an answer takes; raises GoneError with the reason when none comes."""
        start = time.perf_counter()
        try:
            self.client.post(body)
        except (AnswerError, OSError) as error:
            raise GoneError(self.reason(error)) from error
        return time.perf_counter() - start

    def wait(self, body: bytes) -> None:
        """Until the first answer; raises GoneError."""
        try:
            self.client.wait(body, lambda: not self.killed(), POLL_SECONDS)
        except (AnswerError, OSError) as error:
            raise GoneError(self.reason(error)) from error

    def killed(self) -> bool:
        """Whether it has ended, or gunicorn has seen its worker killed (SIGKILL: for memory)."""
        self.container.reload()
        return self.container.status != "running" or b"SIGKILL" in self.container.logs(tail=50)

    def reason(self, error: Exception) -> str:
        """Why no answer came."""
        if self.killed():
            return "killed for want of memory"
        if isinstance(error, TimeoutError):
            return f"no answer within {PATIENCE_SECONDS:.0f} seconds"
        return str(error) or type(error).__name__


@contextmanager
def running(
    image: str,
    setup: Setup,
    memory: int,
    environment: Mapping[str, str] | None = None,
    cpus: float | None = None,
    **options: Any,
) -> Iterator[Running]:
    """A container under the limits of a memory size; always removed.

    `cpus`: other than the CPU share of that size. `options`: more of `docker run`, as the SDK
    names them.
    """
    import docker

    engine = docker.from_env()
    container = engine.containers.run(
        image,
        list(setup.command),
        detach=True,
        environment=dict(environment or {}),
        mem_limit=f"{memory}m",
        memswap_limit=f"{memory}m",  # no swap
        nano_cpus=int((cpus or share(memory)) * 1e9),
        ports={"8080/tcp": ("127.0.0.1", 0)},
        volumes=setup.volumes(),
        working_dir=setup.folder,
        **options,
    )
    try:
        container.reload()
        (published, *_) = container.ports["8080/tcp"] or [{}]
        port = int(published["HostPort"])
        with closing(Client(port, PATIENCE_SECONDS)) as client:
            yield Running(container, client, port)
    finally:
        container.remove(force=True)
        engine.close()


def share(memory: int) -> float:
    """The vCPUs of a memory size."""
    return memory / MEGABYTES_PER_VCPU


def default_image(target: str = "full") -> str:
    """The tag that ./build.sh build --target gives."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return f"{project['name']}:{project['version']}-{target}"


def size(image: str) -> int:
    """Return the bytes of an image; raises DockerException when there is none, or no engine."""
    import docker

    with closing(docker.from_env()) as engine:
        return int(engine.images.get(image).attrs["Size"])


def named(image: str) -> str:
    """An image, and the revision of the source that it was built from."""
    import docker

    engine = docker.from_env()
    labels = engine.images.get(image).labels
    engine.close()
    return f"image {image}, revision {labels.get('org.opencontainers.image.revision', 'unknown')}"


def missing(image: str) -> str:
    """Why containers of an image cannot be measured here; empty if they can."""
    import docker
    from docker.errors import DockerException, ImageNotFound

    try:
        engine = docker.from_env()
        engine.images.get(image)
        engine.close()
    except ImageNotFound:
        return f"there is no image {image}; ./build.sh build makes it"
    except DockerException as error:
        return f"no Docker engine answers ({type(error).__name__})"
    return ""
