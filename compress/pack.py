"""Make a packed model directory of a checkpoint: the command pack-model."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from compress import (
    archive,
    arguments,
    chain,
    command,
    compare,
    convert,
    folder,
    gate,
    packed_files,
    page,
    prepack,
    progress,
    source,
    validate,
)
from compress.chain import Step
from model_handler import extras, resources
from model_handler import manifest as manifests

NAME = "pack-model"


@dataclass(frozen=True)
class Packed:
    """How far a logit of the probe texts moved at most, and what was left out of the archive."""

    drift: float
    left_out: tuple[str, ...] = ()


def main(argv: list[str] | None = None) -> None:
    """Run the command line; --help describes it, and the exit codes."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["compare"]:
        compare.main(words[1:])
        return
    options = arguments.read(words)
    # Adding weights for this CPU to a packed folder needs no more than serving does.
    lacking = None if options.prepack_only else extras.missing("compress", "packing")
    if lacking is not None:
        command.fail(NAME, lacking, 2)
    command.run(NAME, lambda say: _run(options, say))


def _run(options: Namespace, say: progress.Steps) -> None:
    """Do what the command line asks for, and print what came out."""
    if options.prepack_only:
        out = options.prepack_only
        left_out = _prepack(out, options.archive, say)
        done = f"weights for {resources.cpu_kind()} added"
    else:
        plan = options.validate and gate.Plan(options.validate, options.labels, dict(options.gate))
        out = options.out
        packed = pack(
            options.checkpoint,
            out,
            say,
            options.portable_only,
            plan,
            options.archive,
            convert.PackOptions(options.max_length, options.pairs, options.tolerance),
        )
        left_out, done = packed.left_out, f"logits within {packed.drift:.3f} of the checkpoint's"
    say.end()
    if left_out:
        progress.write(f"left out of the archive: {', '.join(left_out)}\n")
    size = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    with suppress(OSError):
        print(f"{out}: {size / 1e6:.1f} MB, {done}", flush=True)


def pack(
    checkpoint: Path | str,
    out: Path,
    say: Callable[[str], None],
    portable_only: bool = False,
    plan: gate.Plan | None = None,
    bundle: Path | None = None,
    options: convert.PackOptions = convert.PackOptions(),  # noqa: B008  # frozen
) -> Packed:
    """Convert a checkpoint, check the result, and only then put it at `out`.

    `plan` says what to validate with, `bundle` is an archive to write as well. Raises ModelError
    when the checkpoint cannot be opened or something cannot be written, DriftError or BudgetError
    when the result answers differently, ExamplesError when the texts of the plan cannot be read;
    nothing is written then.
    """
    source.check(str(checkpoint))
    folder.check_new(out)
    say("import PyTorch and transformers")
    importlib.import_module("transformers.modeling_utils")  # seconds that are no other step's
    with archive.placed(bundle, out) as write_archive, folder.whole(out) as (made, scratch):
        found = source.find(str(checkpoint), scratch, say)
        steps = chain.read(found.directory)
        if plan:
            say(f"read {plan.file}")
            data = validate.open_data(found.directory, plan, options.pairs)
        drift = convert.convert(found.directory, made, scratch, say, options)
        if not portable_only:
            say("pre-pack for this CPU")
            prepack.add(made)
        report = None
        if plan:
            say(f"validate with {data.rows:,} texts")
            report = validate.validate(found.directory, made, data, plan.budgets)
        settings = asdict(options) | {"portable_only": portable_only}
        steps = (*steps, chain.step(NAME, found, settings, report))
        _enter(found.name, steps, made)
        if report:
            packed_files.add_to_card(made, "Validated", report.without_texts())
            page.write_chain(made, out.resolve().name, steps, report)
        if bundle:
            say("write the archive")
        left_out = write_archive(made)
    return Packed(drift, left_out)


def _enter(checkpoint: str, steps: tuple[Step, ...], made: Path) -> None:
    """Enter in the manifest where a packed model comes from, and how it compares."""
    manifest = manifests.read(made)
    source = manifest.source | {"checkpoint": checkpoint}
    scores = steps[-1]["scores"]
    manifest._replace(source=source, chain=steps, validation=scores).write(made)


def _prepack(directory: Path, bundle: Path | None, say: progress.Steps) -> tuple[str, ...]:
    """Add weights to a packed directory; returns what is left out of the archive."""
    with archive.placed(bundle, directory) as write_archive:
        say("pre-pack for this CPU")
        with folder.space_for(directory):
            prepack.add(directory)
        if bundle:
            say("write the archive")
        return write_archive(directory)


if __name__ == "__main__":
    main()
