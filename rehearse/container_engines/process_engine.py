"""Run the local `serve` as a process on a port of its own, where there is no Docker.

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
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil

from rehearse.container_engines.running_container import LogLines, RunningContainer
from rehearse.data_types import ContainerDefinition, TrainingContainer
from rehearse.errors import ContainerEngineError
from rehearse.owner import is_dead, owner, read_mark, started

if TYPE_CHECKING:
    from rehearse.container_engines.process_training import ProcessTraining

Started = TypeVar("Started", bound="ProcessContainer")
# What a program needs to start at all. All else it gets from CreateModel, as a container does.
INHERITED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "HOME", "TMPDIR")
READ_BYTES = 64 * 1024
# The file for a running process, in the folder for temporary files: whose it is, when it started.
MARK = "rehearse-process-"
# Until a process that was sent SIGKILL is gone.
LEFTOVER_SECONDS = 5.0


class ProcessEngine:
    """Runs a command as the container; by default the package `serve` of this Python."""

    not_imposed: tuple[str, ...] = (
        "memory is not limited, only measured",
        "the CPU share is not limited, only told (MEMORY_SIZE_IN_MB)",
        "the file system is writable, and all of this machine's",
        "the user is yours, with your rights",
        "/dev/shm is there",
        "the image is not looked at: the local `serve` runs, or `train`",
    )

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "serve")) -> None:
        self._command = tuple(command)
        self._started: set[ProcessContainer] = set()

    def start(
        self, definition: ContainerDefinition, memory_mb: int, log: Callable[[str], None]
    ) -> ProcessContainer:
        """Start a process; raise ContainerEngineError if the command cannot be run."""
        own = {"MEMORY_SIZE_IN_MB": str(memory_mb), **definition.environment}
        if definition.model_dir:
            own["MODEL_DIR"] = str(definition.model_dir)
        return self._run(ProcessContainer, self._command, own, log)

    def train(self, container: TrainingContainer, log: Callable[[str], None]) -> ProcessTraining:
        from rehearse.container_engines import process_training

        command = process_training.command(container)
        own = {**container.environment, process_training.BASE_DIR: str(container.folder)}
        return self._run(process_training.ProcessTraining, command, own, log)

    def _run(
        self,
        kind: type[Started],
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Callable[[str], None],
    ) -> Started:
        """Run a command with these variables, and a port of its own."""
        with contextlib.ExitStack() as undo:
            try:
                reserved = undo.enter_context(_reserve_port())
            except OSError as error:
                raise ContainerEngineError(f"no port can be had: {error.strerror}") from error
            port = reserved.getsockname()[1]
            process = _launch(command, {**environment, "SAGEMAKER_BIND_TO_PORT": str(port)})
            undo.pop_all()
        running = kind(process, reserved, log, self._started.discard)
        self._started.add(running)
        return running

    def close(self) -> None:
        """End every process that is left."""
        for running in list(self._started):
            running.stop()

    def end_leftovers(self) -> int:
        return end_leftover_processes()


def _launch(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Run a command with these variables and those that any program needs.

    Raises ContainerEngineError.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    try:
        return subprocess.Popen(
            command,
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A group of its own, so that workers end with it, and Ctrl-C is ours alone.
            start_new_session=True,
        )
    except OSError as error:
        words = " ".join(command)
        raise ContainerEngineError(f"`{words}` cannot be run: {error.strerror}") from error


def end_leftover_processes() -> int:
    """End the processes of rehearsals that were killed; return how many there were."""
    leaders: set[int] = set()
    for mark in Path(tempfile.gettempdir()).glob(f"{MARK}*"):
        with contextlib.suppress(OSError, ValueError):  # of another user, or it has just gone
            whose, ticks = read_mark(mark).split()
            if is_dead(whose):
                leader = int(mark.name.removeprefix(MARK))
                # Where the number is another's by now, all of the old session have ended.
                if started(leader) in ("", ticks):
                    leaders.add(leader)
                mark.unlink()
    found = []
    for process in psutil.process_iter() if leaders else ():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) in leaders:
                process.kill()
                found.append(process)
    psutil.wait_procs(found, LEFTOVER_SECONDS)
    return len(found)


class ProcessContainer(RunningContainer):
    """One process and those below it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reserved: socket.socket,
        log: Callable[[str], None],
        on_end: Callable[[ProcessContainer], None],
    ) -> None:
        super().__init__(reserved.getsockname()[1])
        self.process = process
        self._mark = Path(tempfile.gettempdir()) / f"{MARK}{process.pid}"
        self._mark.write_text(f"{owner()} {started(process.pid)}")
        self._reserved = reserved
        self._log = log
        self._on_end = on_end
        self._log_reader = threading.Thread(target=self._read, name="log", daemon=True)
        self._log_reader.start()

    def memory_bytes(self) -> int | None:
        """Return the resident bytes; what processes share counts in each of them."""
        try:
            first = psutil.Process(self.process.pid)
            family = [first, *first.children(recursive=True)]
            return sum(each.memory_info().rss for each in family)
        except psutil.Error:  # it has just ended
            return None

    def out_of_memory(self, since: float) -> bool:  # noqa: ARG002  # of the seam
        """Return False: its memory is not limited."""
        return False

    def alive(self) -> bool:
        """Return whether the first process runs."""
        return self.process.poll() is None

    def _suspend(self) -> None:
        self._signal_all(signal.SIGSTOP)

    def _resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _terminate(self) -> None:
        self.process.terminate()

    def _remove(self) -> None:
        self._signal_all(signal.SIGKILL)
        self.process.wait()
        self._mark.unlink(missing_ok=True)
        self._reserved.close()
        self._on_end(self)

    def _signal_all(self, number: signal.Signals) -> None:
        # Those below may live on when the first has ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _read(self) -> None:
        lines = LogLines(self._log)
        assert self.process.stdout
        with self.process.stdout as output:
            while part := os.read(output.fileno(), READ_BYTES):
                lines.feed(part)
        lines.end()


def _reserve_port() -> socket.socket:
    """Bind a socket that never listens to a free port, so that the port stays ours.

    Others may bind it with SO_REUSEADDR, as servers do, but it is given to nobody by chance.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
