"""Run a SageMaker training job: `train` fine-tunes a checkpoint on the channels of /opt/ml.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from model_handler import ModelError, extras
from platform_facts import OPT_ML
from training import channels, job
from training.fitting import Fitting, Stop, encoder
from training.job import Folders, JobError

NAME = "train"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the job; exits with 1 and the reason in output/failure if it fails."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Fine-tune a text classifier as a SageMaker training job. Input, "
        f"hyperparameters and output are in {OPT_ML}, or in ${job.BASE_DIR}.",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version(extras.PROJECT)}"
    )
    parser.parse_args(argv)
    folders = Folders.of(os.environ)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # metrics as they come
    if not sys.stderr.isatty():  # a log keeps every state of the progress bar
        os.environ.setdefault("TQDM_MININTERVAL", "10")
    stop = Stop()
    # SageMaker gives 120 seconds between SIGTERM and SIGKILL:
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    try:
        lacking = extras.missing("train", "training")
        if lacking is not None:
            raise JobError(lacking)
        run(folders, stop)
    except (JobError, ModelError) as error:
        _fail(folders, " ".join(str(error).split()))
    except Exception as error:  # whatever it is, the job's owner must be told
        traceback.print_exc()
        _fail(folders, f"{type(error).__name__}: {error}")


def run(folders: Folders, stop: Stop) -> None:
    """Read what the job is given, train, and write the checkpoint. Raises JobError."""
    folders.failure.unlink(missing_ok=True)
    job.check(folders)
    chosen = job.hyperparameters(folders)
    found = channels.read(job.train_channel(folders))
    labels = channels.labels_of(found.rows)
    _say(f"{len(found.rows):,} examples with the labels {', '.join(map(str, labels))}")
    if found.dropped:
        _say(f"{found.dropped:,} rows without a text are left out")
    train, validation = list(found.rows), _validation(folders)
    if validation:
        channels.check_known(validation, labels)
    else:
        train, validation = channels.split(found.rows, chosen.seed)
        _say(f"no channel validation: {len(validation):,} examples are kept aside by chance")
    with tempfile.TemporaryDirectory() as scratch:
        start = encoder(chosen.model_name_or_path, folders, Path(scratch))
        fitting = Fitting(start, labels, chosen, stop)
    fitting.run(train, validation, folders.checkpoints)
    fitting.save(folders.model)
    _say(f"{'stopped; ' if stop.is_set() else ''}the model is in {folders.model}")


def _validation(folders: Folders) -> list[channels.Example]:
    """Read the examples of the validation channel; none if there is no such channel."""
    channel = folders.channel(job.VALIDATION_CHANNEL)
    return list(channels.read(channel).rows) if channel.is_dir() else []


def _say(words: str) -> None:
    print(f"{NAME}: {words}", flush=True)


def _fail(folders: Folders, reason: str) -> None:
    print(f"{NAME}: {reason}", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):  # where there is no /opt/ml, stderr has to do
        job.write_failure(folders, reason)
    sys.exit(1)


if __name__ == "__main__":
    main()
