"""Read the command line of shrink-model, and refuse options that do not go together."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from compress import gate
from compress.arguments import count, positive
from compress.distil import Settings
from model_handler.extras import PROJECT

EPILOG = """\
what is left out:
  pieces of the vocabulary that no text has, always: answers to texts without them stay the same,
  and other words are split into smaller pieces
  layers (--layers) and feed-forward columns (--ffn), if asked for: those that matter least for
  the texts; what is left then learns to answer as before (distillation), for which the texts need
  no labels
  attention heads stay, since config.json of these architectures cannot say that some are missing

exit codes:
  0    the folder is written; pack it with pack-model
  1    refused: one line on stderr says why; nothing is left behind
  2    the command line is wrong, or a package that this needs is not installed
  129, 130, 143  stopped by SIGHUP, SIGINT (Ctrl-C) or SIGTERM; nothing is left behind

examples:
  shrink-model my-checkpoint smaller --data texts.jsonl
  shrink-model my-checkpoint halved --data texts.jsonl --layers 6 --gate agreement=0.95
  shrink-model my-checkpoint student --data texts.jsonl --start MiniLM --gate agreement=0.95
  shrink-model my-checkpoint better --data more.jsonl --start halved --keep-vocabulary
                                         (lets an earlier student learn on)
"""


def read(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line; exits with 2 and one line when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="shrink-model",
        description="Make a smaller checkpoint of a fine-tuned encoder, which answers like it: "
        "with fewer layers, narrower ones, fewer pieces in its vocabulary.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(PROJECT)}")
    _add_files(parser)
    _add_size(parser)
    _add_training(parser)
    _add_proof(parser)
    options = parser.parse_args(argv)
    cut = options.layers or options.ffn or options.start
    if options.keep_vocabulary and not cut:
        parser.error("--keep-vocabulary leaves nothing to do without --layers, --ffn or --start")
    if options.epochs is None:
        options.epochs = Settings.epochs if cut else 0
    return options


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "checkpoint",
        help="folder with config.json and weights, or with a LoRA adapter; where there is no such "
        "folder, ORG/NAME is downloaded from the Hugging Face Hub",
    )
    add("out", type=Path, help="folder to write; must not exist or be empty")
    add(
        "--data",
        type=Path,
        required=True,
        metavar="texts.jsonl",
        help='texts like those to come, thousands if you can: JSON Lines such as {"text": "..."}; '
        "may be compressed with gzip; a label is not needed",
    )
    add(
        "--max-length",
        type=count,
        metavar="N",
        help="cut texts to N tokens; if not given, to as many as the checkpoint says",
    )
    add(
        "--pairs",
        action="store_true",
        help='records have two texts that belong together as their "features"',
    )


def _add_size(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what stays").add_argument
    add("--layers", type=count, metavar="N", help="keep N layers")
    add("--ffn", type=count, metavar="N", help="keep N columns of each layer's feed-forward part")
    add(
        "--pieces",
        type=_number,
        default=0,
        metavar="N",
        help="keep N pieces of the vocabulary at least: besides those of the texts, the most "
        "frequent of the others, for texts that are not like these",
    )
    add("--keep-vocabulary", action="store_true", help="keep all pieces of the vocabulary")
    add(
        "--start",
        type=Path,
        metavar="DIR",
        help="begin with this smaller pretrained encoder, instead of the checkpoint itself",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("distillation").add_argument
    add(
        "--teacher",
        type=Path,
        metavar="DIR",
        help="learn from this checkpoint, which has the same labels, instead of the one to shrink",
    )
    add(
        "--epochs",
        type=_number,
        metavar="N",
        help=f"times to go through the texts; {Settings.epochs} if not given, and 0, which is no "
        "training, if only the vocabulary shrinks",
    )
    add("--batch-size", type=count, metavar="N", help="texts in a step; %(default)s if not given")
    add("--learning-rate", type=positive, metavar="X", help="%(default)s if not given")
    add(
        "--temperature",
        type=positive,
        metavar="X",
        help="divide logits by this, so that the teacher's doubts count; %(default)s if not given",
    )
    add(
        "--label-weight",
        type=positive,
        metavar="X",
        help='learn from the "label" of each text as well, with this weight beside the teacher\'s '
        "answers; if not given, from the teacher alone",
    )
    add("--seed", type=_number, metavar="N", help="%(default)s if not given")
    names = ("batch_size", "learning_rate", "temperature", "label_weight", "seed")
    parser.set_defaults(**{name: getattr(Settings, name) for name in names})


def _add_proof(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("proof").add_argument
    add(
        "--validate",
        type=Path,
        metavar="reviews.jsonl",
        help="compare both checkpoints on these texts; if not given, on a tenth of the --data, "
        "which is not learned from then",
    )
    gate.add_options(add)


def _number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value
