"""Run the local `train`, or the entry point of a training job, as a process.

The image is not looked at. SAGEMAKER_BASE_DIR tells the process what a container finds at /opt/ml;
the variable is that of https://github.com/aws/sagemaker-training-toolkit.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from rehearse.container_engines.process_engine import ProcessContainer
from rehearse.container_engines.running_container import LOG_READER_SECONDS
from rehearse.data_types import TrainingContainer

TRAIN = (sys.executable, "-m", "training.train")
BASE_DIR = "SAGEMAKER_BASE_DIR"


def command(container: TrainingContainer) -> Sequence[str]:
    """Return what is run."""
    return (*container.entrypoint, *container.arguments) if container.entrypoint else TRAIN


class ProcessTraining(ProcessContainer):
    """The process of a training job and those below it."""

    def wait(self, seconds: float) -> int | None:
        """Wait so many seconds at most; return the exit code, or None while it runs."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._log_reader.join(LOG_READER_SECONDS)
        # As Docker tells of a signal: 128 and its number.
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """Send SIGTERM to the first process."""
        self._terminate()

    def kill(self) -> None:
        """Send SIGKILL to the first process; the others end with stop()."""
        self.process.kill()

    def collect(self) -> None:
        """Do nothing: it has written into the folder itself."""
