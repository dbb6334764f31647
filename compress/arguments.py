"""Read the command line of pack-model, and refuse options that do not go together."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from compress import gate
from model_handler.extras import PROJECT

EPILOG = """\
exit codes:
  0    the folder is written, and the archive if one is asked for
  1    refused: one line on stderr says why; nothing is left behind
  2    the command line is wrong, or a package that packing needs is not installed
  129, 130, 143  stopped by SIGHUP, SIGINT (Ctrl-C) or SIGTERM; nothing is left behind

examples:
  pack-model my-checkpoint my-model --archive model.tar.gz
  pack-model my-checkpoint my-model --validate reviews.jsonl --gate agreement=0.99 recall_drop=0.02
  pack-model ORG/NAME my-model
  pack-model compare my-checkpoint my-model --data reviews.jsonl
"""


def read(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line; exits with 2 and one line when it is wrong."""
    parser = _parser()
    options = parser.parse_args(argv)
    earlier = {"agreement": options.min_agreement, "macro_f1_drop": options.max_f1_drop}
    options.gate += [each for each in earlier.items() if each[1] is not None]
    _check_usage(parser, options)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pack-model",
        description="Turn a Hugging Face sequence-classification checkpoint into a small, fast, "
        "checked model directory for serving.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(PROJECT)}")
    _add_packing(parser)
    _add_proof(parser)
    return parser


def _add_packing(parser: argparse.ArgumentParser) -> None:
    """Add what says which checkpoint to pack, and how."""
    add = parser.add_argument
    add(
        "checkpoint",
        nargs="?",
        help="folder with config.json and weights, or with a LoRA adapter; where there is no such "
        "folder, ORG/NAME is downloaded from the Hugging Face Hub",
    )
    add("out", type=Path, nargs="?", help="folder to write; must not exist or be empty")
    add("--archive", type=Path, metavar="model.tar.gz", help="also write this")
    add(
        "--prepack-only",
        type=Path,
        metavar="DIR",
        help="add weights in the layout of this machine's CPU to a folder that is packed already",
    )
    add(
        "--portable-only",
        action="store_true",
        help="leave those weights out, for 40 %% of the size; the server then packs its own",
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
    add(
        "--tolerance",
        type=positive,
        metavar="X",
        help="how far a logit of the probe texts may move",
    )


def _add_proof(parser: argparse.ArgumentParser) -> None:
    """Add the options that compare the packed model with its checkpoint."""
    add = parser.add_argument_group("proof on your own texts").add_argument
    add(
        "--validate",
        type=Path,
        metavar="reviews.jsonl",
        help="compare checkpoint and packed model on these texts: JSON Lines with records as the "
        'server takes them, such as {"text": "..."}; may be compressed with gzip',
    )
    gate.add_options(add)
    # The earlier spelling of --gate agreement=X and --gate macro_f1_drop=X.
    add("--min-agreement", type=gate.share, help=argparse.SUPPRESS)
    add("--max-f1-drop", type=gate.share, help=argparse.SUPPRESS)


def count(text: str) -> int:
    """Read a number from 1 on; raises argparse's error."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def positive(text: str) -> float:
    """Read a number above 0; raises argparse's error."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _check_usage(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with 2 where options do not go together."""
    if (options.prepack_only is None) == (options.out is None):
        parser.error("name a checkpoint and a folder to write, or --prepack-only and a folder")
    if options.prepack_only and (options.validate or options.portable_only):
        parser.error("--prepack-only goes with --archive alone")
    if not options.validate and (options.gate or options.labels is not None):
        parser.error("--gate and --labels need --validate")
