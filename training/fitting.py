"""Fine-tune a checkpoint on labelled texts with transformers' Trainer; goes on where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress import distil, folder
from training import encoders, loss, metric_lines
from training.channels import Example, Label
from training.job import Folders, Hyperparameters, JobError

if TYPE_CHECKING:
    from transformers import TrainingArguments

ARCHIVE = "model.tar.gz"
# transformers writes this file last: without it, a checkpoint was cut off.
STATE = "trainer_state.json"
# Epochs without a better macro F1, after which training ends.
PATIENCE = 2
LOG_STEPS = 20


class Stop(threading.Event):
    """Is set when the job is asked to stop."""


def encoder(name: str, folders: Folders, scratch: Path) -> Path:
    """Return the folder of the checkpoint to start from: a channel, a folder, or the default.

    The channel may hold model.tar.gz, as a training job writes it. Raises JobError.
    """
    if not name:
        default = scratch / "default"
        default.mkdir()
        encoders.minilm(default, scratch)
        return default
    channel = folders.channel(name)
    found = channel if "/" not in name and channel.is_dir() else Path(name)
    if (found / ARCHIVE).is_file() and not (found / "config.json").exists():
        unpacked = scratch / "checkpoint"
        with tarfile.open(found / ARCHIVE) as archive:
            archive.extractall(unpacked, filter="data")
        found = unpacked
    if not (found / "config.json").is_file():
        raise JobError(
            f"model_name_or_path {name} is neither a channel nor a folder with a checkpoint "
            "(config.json)"
        )
    return found


class Fitting:
    """A model, its tokenizer and its examples, ready to be trained."""

    def __init__(
        self, checkpoint: Path, labels: Sequence[Label], chosen: Hyperparameters, stop: Stop
    ) -> None:
        """Open the checkpoint; raises JobError if max_length is more than it can read."""
        import transformers

        quiet: Any = transformers.logging  # which has no type hints
        quiet.set_verbosity_error()  # it would report that the head is new
        quiet.disable_progress_bar()
        transformers.set_seed(chosen.seed)  # of the new head
        names = dict(enumerate(map(str, labels)))
        self.labels, self.chosen, self.stop = tuple(labels), chosen, stop
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(
            checkpoint, local_files_only=True
        )
        if chosen.max_length > self.tokenizer.model_max_length:
            raise JobError(
                f"max_length {chosen.max_length} is more than the model reads, "
                f"{self.tokenizer.model_max_length} tokens"
            )
        self.tokenizer.model_max_length = chosen.max_length
        self.model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(
            checkpoint,
            local_files_only=True,
            num_labels=len(names),
            id2label=names,
            label2id={name: place for place, name in names.items()},
            problem_type="single_label_classification",
            ignore_mismatched_sizes=True,
        )

    def run(
        self, train: Sequence[Example], validation: Sequence[Example], checkpoints: Path
    ) -> None:
        """Train, and keep the best model by macro F1; goes on from the newest whole checkpoint."""
        import transformers

        trainer = transformers.Trainer(
            model=self.model,
            args=self._arguments(checkpoints),
            data_collator=self._collator(),
            train_dataset=self._encoded(train),
            eval_dataset=self._encoded(validation),
            processing_class=self.tokenizer,
            compute_loss_func=loss.adjusted([self._place(row) for row in train], len(self.labels)),
            compute_metrics=partial(metric_lines.figures, labels=len(self.labels)),
            callbacks=[
                transformers.EarlyStoppingCallback(PATIENCE),
                metric_lines.stopping(self.stop),
            ],
        )
        trainer.remove_callback(transformers.trainer_callback.ProgressCallback)
        trainer.add_callback(metric_lines.progress())
        try:
            trainer.train(resume_from_checkpoint=newest(checkpoints))
        except metric_lines.EvaluationStopped:
            self._open_best(trainer.state.best_model_checkpoint)

    def _collator(self) -> Any:
        """Pad batches to few widths (distil.WIDTHS), none of them above max_length."""
        import transformers

        multiple = None if self.chosen.max_length % distil.WIDTHS else distil.WIDTHS
        return transformers.DataCollatorWithPadding(self.tokenizer, pad_to_multiple_of=multiple)

    def _arguments(self, checkpoints: Path) -> TrainingArguments:
        import torch
        from transformers import TrainingArguments

        chosen = self.chosen
        return TrainingArguments(
            output_dir=str(checkpoints),
            num_train_epochs=chosen.epochs,
            max_steps=chosen.max_steps or -1,
            learning_rate=chosen.learning_rate,
            per_device_train_batch_size=chosen.batch_size,
            per_device_eval_batch_size=chosen.batch_size,
            seed=chosen.seed,
            warmup_steps=0.1,
            weight_decay=0.01,
            use_cpu=not torch.cuda.is_available(),
            bf16=distil.has_bfloat16(self.model),
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=2,
            load_best_model_at_end=True,
            metric_for_best_model="macro_f1",
            logging_steps=LOG_STEPS,
            restore_callback_states_from_checkpoint=True,  # how long to wait for a better epoch
            report_to="none",
            disable_tqdm=False,
            dataloader_pin_memory=False,
        )

    def _open_best(self, checkpoint: str | None) -> None:
        """Take the weights of the best epoch so far, if one has been evaluated."""
        from safetensors.torch import load_model

        if checkpoint is not None:
            load_model(self.model, Path(checkpoint) / "model.safetensors")

    def _place(self, row: Example) -> int:
        return self.labels.index(row.label)

    def _encoded(self, rows: Sequence[Example]) -> list[dict[str, Any]]:
        texts = [row.text for row in rows]
        found = self.tokenizer(texts, truncation=True, max_length=self.chosen.max_length)
        return [
            {name: values[place] for name, values in found.items()} | {"labels": self._place(row)}
            for place, row in enumerate(rows)
        ]

    def save(self, out: Path) -> None:
        """Write the checkpoint to `out`, which may be a mount; each file is whole or not there."""
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".") as hidden:
            self.model.save_pretrained(hidden)
            self.tokenizer.save_pretrained(hidden)
            for path in Path(hidden).iterdir():
                folder.make_readable(path)
                os.replace(path, out / path.name)


def newest(checkpoints: Path) -> str | None:
    """Return the newest checkpoint that is whole; removes those that were cut off."""
    found = sorted(
        checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2])
    )
    for path in reversed(found):
        if _is_whole(path):
            return str(path)
        shutil.rmtree(path)
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / STATE).read_bytes())
    except (OSError, ValueError):
        return False
    return True
