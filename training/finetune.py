"""Fine-tune all-MiniLM-L6-v2 on rated reviews: a checkpoint with metrics.json and a card.

python -m training.finetune --data DIR --out DIR
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model_handler import extras
from training import card, data, scoring
from training.data import Review


def main(argv: list[str] | None = None) -> None:
    """Run the command line; --help describes it. Exits with 2 if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="training.finetune", description="Fine-tune all-MiniLM-L6-v2 on rated reviews."
    )
    add = parser.add_argument
    add("--version", action="version", version=f"%(prog)s {version(extras.PROJECT)}")
    add("--data", type=Path, required=True, help="has train.jsonl.gz and validation.jsonl.gz")
    add("--out", type=Path, required=True, help="folder to write; must not exist")
    add("--start", type=Path, help="checkpoint to go on from, instead of all-MiniLM-L6-v2")
    add("--epochs", type=int, default=3)
    add("--majority", type=int, default=3000, help="reviews of class 1 in an epoch")
    add("--crops", type=float, default=0.5, help="share of texts cut to one or two sentences")
    add("--rate", type=float, default=1e-4, help="peak learning rate")
    add("--seed", type=int, default=7)
    options = parser.parse_args(argv)
    lacking = extras.missing("train", "training")
    if lacking is not None:
        parser.exit(2, f"{parser.prog}: {lacking}\n")
    if options.out.exists():
        parser.error(f"{options.out} exists; name a new folder")
    try:
        train, validation = (
            data.read(options.data / f"{split}.jsonl.gz") for split in ("train", "validation")
        )
    except FileNotFoundError as error:
        parser.error(str(error))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as scratch:
        made = Path(scratch) / "checkpoint"
        summary = fine_tune(train, validation, made, options)
        card.write(made, summary)
        shutil.move(made, options.out)
    print(json.dumps(summary, indent=1))


def fine_tune(
    train: list[Review], validation: list[Review], out: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Train, and save the best epoch by macro F1 on the calibrated validation logits to `out`.

    Returns the recipe, the macro F1 of each epoch before and after calibration, and the figures of
    the saved model.
    """
    import torch
    from tqdm import tqdm

    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    model, tokenizer = start(options.start)
    model.base_model.embeddings.requires_grad_(False)  # half the weights; words keep their sense
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.rate, weight_decay=0.01, fused=True)
    epochs = [
        data.batches(data.epoch(train, options.majority, options.crops, rng), scoring.BATCH, rng)
        for _ in range(options.epochs)
    ]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.rate, total_steps=sum(map(len, epochs)), pct_start=0.1
    )
    expected = [review.label for review in validation]
    history: list[dict[str, float]] = []
    best: dict[str, Any] = {"macro_f1": -1.0}
    bias = (0.0, 0.0, 0.0)
    for number, batches in enumerate(epochs, 1):
        model.train()
        for batch in tqdm(batches, desc=f"epoch {number}"):
            loss(model, tokenizer, batch).backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        scores = scoring.logits(model, tokenizer, [review.text for review in validation])
        found = scoring.calibrate(scores, expected)
        figures = scoring.report(expected, scoring.labels(scores + found))
        plain = scoring.report(expected, scoring.labels(scores))["macro_f1"]
        history.append({"uncalibrated": plain, "macro_f1": figures["macro_f1"]})
        tqdm.write(f"epoch {number}: validation macro F1 {figures['macro_f1']} ({plain} before)")
        if figures["macro_f1"] > best["macro_f1"]:
            best, bias = figures, found
            model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    fold(out, bias)
    summary = {"recipe": recipe(options, bias), "epochs": history, "validation": best}
    (out / "metrics.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary


def recipe(options: argparse.Namespace, bias: tuple[float, float, float]) -> dict[str, Any]:
    """Name what was chosen for a run, and the biases of the classes that came of it."""
    chosen = {name: getattr(options, name) for name in ("epochs", "majority", "crops", "rate")}
    return chosen | {"seed": options.seed, "batch": scoring.BATCH, "bias": bias}


def loss(model: Any, tokenizer: Any, batch: list[Review]) -> Any:
    """Compute the cross-entropy of a batch, against the targets that its star ratings give."""
    import torch

    logits = model(**scoring.encode(tokenizer, [review.text for review in batch])).logits
    targets = torch.tensor([data.TARGETS[review.rating] for review in batch])
    return torch.nn.functional.cross_entropy(logits, targets)


def start(checkpoint: Path | None) -> tuple[Any, Any]:
    """Open a checkpoint, or the encoder with a new three-class head, and its tokenizer."""
    from all_minilm_l6_v2 import extract_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if checkpoint is not None:
        model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
        return model, AutoTokenizer.from_pretrained(checkpoint)
    names = dict(enumerate(map(str, data.LABELS)))
    with tempfile.TemporaryDirectory() as folder:
        base = extract_model(folder)
        model = AutoModelForSequenceClassification.from_pretrained(
            base,
            num_labels=len(names),
            id2label=names,
            label2id={name: index for index, name in names.items()},
            # The crops regularise; without dropout a step on a CPU takes half the time.
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            classifier_dropout=0.1,
        )
        return model, AutoTokenizer.from_pretrained(base, model_max_length=scoring.MAX_LENGTH)


def fold(out: Path, bias: tuple[float, float, float]) -> None:
    """Add the biases of the classes to the classifier of a saved checkpoint."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(out)
    with torch.no_grad():
        model.classifier.bias += torch.tensor(bias)
    model.save_pretrained(out)


if __name__ == "__main__":
    main()
