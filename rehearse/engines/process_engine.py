"""A container in, the local `serve` out: a process on a port of its own, for a desk without Docker.

The image is not looked at. MODEL_DIR and SAGEMAKER_BIND_TO_PORT tell the process what a container
finds at /opt/ml/model and on port 8080.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from rehearse.engines import EngineError
from rehearse.engines.lines import Lines
from rehearse.engines.served import Served
from rehearse.model import Container

# What a program needs to start at all. All else it gets from CreateModel, as a container does.
INHERITED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "HOME", "TMPDIR")
CHUNK = 64 * 1024


class ProcessEngine:
    """Runs a command for each environment; the process `serve` of this Python by default."""

    limits: tuple[str, ...] = (
        "memory is not limited, only measured",
        "the CPU share is not limited, only told (MEMORY_SIZE_IN_MB)",
        "the file system is writable, and all of this machine's",
        "the user is yours, with your rights",
        "/dev/shm is there",
        "the image is not looked at: the local `serve` runs",
    )

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "serve")) -> None:
        self._command = tuple(command)
        self._started: set[ProcessEnvironment] = set()

    def start(
        self, container: Container, memory_mb: int, log: Callable[[str], None]
    ) -> ProcessEnvironment:
        """Raises EngineError if the command cannot be run."""
        with contextlib.ExitStack() as undo:
            try:
                hold = undo.enter_context(_reserve())
            except OSError as error:
                raise EngineError(f"no port can be had: {error.strerror}") from error
            port = hold.getsockname()[1]
            own = {"MEMORY_SIZE_IN_MB": str(memory_mb), **container.environment}
            if container.model:
                own["MODEL_DIR"] = str(container.model)
            inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
            try:
                process = subprocess.Popen(
                    self._command,
                    env={**inherited, **own, "SAGEMAKER_BIND_TO_PORT": str(port)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    # A group of its own, so that workers end with it, and Ctrl-C is ours alone.
                    start_new_session=True,
                )
            except OSError as error:
                words = " ".join(self._command)
                raise EngineError(f"`{words}` cannot be run: {error.strerror}") from error
            undo.pop_all()
        environment = ProcessEnvironment(process, hold, log, self._started.discard)
        self._started.add(environment)
        return environment

    def close(self) -> None:
        """End every process that is left."""
        for environment in list(self._started):
            environment.stop()


class ProcessEnvironment(Served):
    """One process and those below it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        hold: socket.socket,
        log: Callable[[str], None],
        ended: Callable[[ProcessEnvironment], None],
    ) -> None:
        super().__init__(hold.getsockname()[1])
        self.process = process
        self._hold = hold
        self._log = log
        self._ended = ended
        self._reader = threading.Thread(target=self._read, name="log", daemon=True)
        self._reader.start()

    def memory(self) -> int | None:
        """Resident bytes; what processes share counts in each of them."""
        import psutil

        try:
            top = psutil.Process(self.process.pid)
            family = [top, *top.children(recursive=True)]
            return sum(each.memory_info().rss for each in family)
        except psutil.Error:  # it has just ended
            return None

    def out_of_memory(self, since: float) -> bool:  # noqa: ARG002  # a process has all there is
        """Never: its memory is not limited."""
        return False

    def alive(self) -> bool:
        """Whether the first process runs."""
        return self.process.poll() is None

    def _terminate(self) -> None:
        self.process.terminate()

    def _remove(self) -> None:
        # Those below may live on when the first has ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._hold.close()
        self._ended(self)

    def _read(self) -> None:
        lines = Lines(self._log)
        assert self.process.stdout
        with self.process.stdout as output:
            while part := os.read(output.fileno(), CHUNK):
                lines.feed(part)
        lines.end()


def _reserve() -> socket.socket:
    """A free port that stays ours: a socket is bound to it and never listens.

    Others may bind it with SO_REUSEADDR, as servers do, but it is given to nobody by chance.
    """
    hold = socket.socket()
    hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hold.bind(("127.0.0.1", 0))
    return hold
