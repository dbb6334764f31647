"""A running container in, its answers, memory and lines out; and its end."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rehearse.engines.lines import Lines
from rehearse.engines.served import Served

if TYPE_CHECKING:
    from docker.models.containers import Container as Running

PORT = "8080/tcp"
# Memory that runs out may end a process below the first one only. Docker notes it, but later.
NOTICE_SECONDS = 3.0
POLL_SECONDS = 0.05


class DockerEnvironment(Served):
    """One container."""

    def __init__(self, container: Running, output: Any, log: Callable[[str], None]) -> None:
        self.container = container
        # None is published of a container that has ended already; nobody answers on port 0.
        (published, *_) = container.ports.get(PORT) or [{"HostPort": "0"}]
        super().__init__(int(published["HostPort"]))
        self._output = output
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(log,), name="log", daemon=True)
        self._reader.start()

    def memory(self) -> int | None:
        """Bytes of its control group, without what is only cached."""
        from docker.errors import DockerException

        try:
            # one_shot: without waiting a second for a second reading of the CPU.
            api: Any = self.container.client.api  # type: ignore[union-attr]  # it has one
            found = api.stats(self.container.id, stream=False, one_shot=True)["memory_stats"]
            cached = found["stats"].get("total_inactive_file", found["stats"].get("inactive_file"))
            return int(found["usage"]) - int(cached or 0)
        except (DockerException, OSError, LookupError):  # it has just ended
            return None

    def out_of_memory(self, since: float) -> bool:
        """Whether the kernel has ended one of its processes for that.

        State.OOMKilled is set when the first process ends, and tells of it alone; a server that
        starts another worker lives on. Events tell of all:
        https://docs.docker.com/reference/cli/docker/system/events/
        """
        from docker.errors import DockerException

        if self._stopped:
            return False
        api: Any = self.container.client.api  # type: ignore[union-attr]  # it has one
        wanted = {"container": self.container.id, "event": "oom"}
        end = time.monotonic() + NOTICE_SECONDS
        with contextlib.suppress(DockerException, OSError):
            while time.monotonic() < end:
                self.container.reload()
                state = self.container.attrs["State"]
                if state["OOMKilled"] or list(api.events(since - 1, time.time(), wanted)):
                    return True
                if not state["Running"]:
                    return False
                time.sleep(POLL_SECONDS)
        return False

    def alive(self) -> bool:
        """Whether its output has not ended, which it does with the container."""
        return not self._ended.is_set()

    def _terminate(self) -> None:
        from docker.errors import DockerException

        with contextlib.suppress(DockerException, OSError):
            self.container.kill("SIGTERM")

    def _remove(self) -> None:
        from docker.errors import DockerException

        # Somebody else may have removed it.
        with contextlib.suppress(DockerException, OSError):
            self.container.remove(force=True, v=True)

    def _read(self, log: Callable[[str], None]) -> None:
        """Both streams, each line whole; one that ends without a newline, too."""
        streams = (Lines(log), Lines(log))
        try:
            with contextlib.suppress(OSError, ValueError):  # the engine has closed the connection
                for parts in self._output:
                    for lines, part in zip(streams, parts, strict=True):
                        lines.feed(part or b"")
            for lines in streams:
                lines.end()
        finally:
            self._ended.set()
            close(self._output)


def close(output: Any) -> None:
    """Close the connection of an output, which docker-py leaves to the garbage collector."""
    output._response.close()
