"""Write the metrics of a training job as lines that its metric definitions find."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from training.fitting import Stop

# What MetricDefinitions of a training job may be; docs/training.md has them as well.
# https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
DEFINITIONS = {
    "train:loss": r"train_loss=([0-9.e+-]+)",
    "validation:loss": r"validation_loss=([0-9.e+-]+)",
    "validation:macro_f1": r"validation_macro_f1=([0-9.]+)",
    "validation:accuracy": r"validation_accuracy=([0-9.]+)",
    "validation:worst_recall": r"validation_worst_recall=([0-9.]+)",
}
# Names of the Trainer's logs, and ours.
NAMES = {
    "loss": "train_loss",
    "eval_loss": "validation_loss",
    "eval_macro_f1": "validation_macro_f1",
    "eval_accuracy": "validation_accuracy",
    "eval_worst_recall": "validation_worst_recall",
}


def figures(found: Any, labels: int) -> dict[str, float]:
    """Return macro F1, accuracy and the worst recall of labels, from a Trainer's evaluation."""
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    expected, predicted = found.label_ids, found.predictions.argmax(axis=1)
    given: dict[str, Any] = {"labels": list(range(labels)), "average": None, "zero_division": 0}
    return {
        "macro_f1": float(f1_score(expected, predicted, **given).mean()),
        "accuracy": float(accuracy_score(expected, predicted)),
        "worst_recall": float(recall_score(expected, predicted, **given).min()),
    }


def line(logs: dict[str, float]) -> str:
    """Return what a log of the Trainer says; an empty line if there is no metric in it."""
    found = [f"{ours}={logs[name]:.5g}" for name, ours in NAMES.items() if name in logs]
    return " ".join([f"epoch={logs.get('epoch', 0):.2f}", *found]) if found else ""


def progress() -> TrainerCallback:
    """Return a progress bar that writes a line for each log."""
    from tqdm import tqdm
    from transformers.trainer_callback import ProgressCallback

    class Progress(ProgressCallback):
        def on_log(self, *given: Any, **named: Any) -> None:
            _, state, _ = given
            logs = named.get("logs")
            if found := line(logs or {}):
                tqdm.write(f"step={state.global_step} {found}")

    return Progress()


class EvaluationStopped(Exception):
    """The job is asked to stop during an evaluation, which may take longer than it is given."""


def stopping(stop: Stop) -> TrainerCallback:
    """Return what saves a checkpoint and ends the training after the step under way.

    After the last step of an epoch and during its evaluation it raises EvaluationStopped: a
    checkpoint without the evaluation would not go on to the same model, the one before does.
    """
    from transformers import TrainerCallback

    class Stopping(TrainerCallback):
        def on_step_end(self, *given: Any, **_: Any) -> None:
            _, state, control = given
            if stop.is_set() and not _ends_epoch(state):
                control.should_save = control.should_training_stop = True

        def on_prediction_step(self, *_: Any, **__: Any) -> None:
            if stop.is_set():
                raise EvaluationStopped

    return Stopping()


def _ends_epoch(state: Any) -> bool:
    """Whether an evaluation follows the step that was done last."""
    whole = math.isclose(state.epoch, round(state.epoch), abs_tol=1e-9)
    return whole or state.global_step == state.max_steps
