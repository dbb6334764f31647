"""Import the entry point that SAGEMAKER_PROGRAM names, and find the functions that it defines.

The names of the functions and their arguments are those of AWS's toolkits, in which a function may
take the context as one more argument:
https://github.com/aws/sagemaker-inference-toolkit/blob/master/src/sagemaker_inference/transformer.py
https://github.com/aws/sagemaker-huggingface-inference-toolkit
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from model_handler import ModelError
from serve.errors import clip
from serve.settings import Settings

log = logging.getLogger(__name__)

# What each function is called with; the context may follow.
ARGUMENTS = {
    "model_fn": ("model_dir",),
    "input_fn": ("body", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "body", "content_type", "accept"),
}
DOCS = "docs/your-code.md"
REASON_CHARACTERS = 300
# Packages that the full image has, and the slim one has not.
FULL = ("torch", "transformers", "safetensors")


class EntryPointError(ModelError):
    """The entry point cannot be used; the message names the file, the line and the reason."""


@dataclass(frozen=True)
class Hook:
    """One function of the entry point, and whether it takes the context as its last argument."""

    function: Callable[..., Any]
    takes_context: bool

    def __call__(self, context: object, *arguments: Any) -> Any:
        """Call the function with its arguments, and with the context if it takes one."""
        if self.takes_context:
            return self.function(*arguments, context)
        return self.function(*arguments)


def load(settings: Settings) -> Mapping[str, Hook]:
    """Run the entry point's module and return its functions by name.

    Raise EntryPointError if the file is missing, its requirements are not installed, it raises
    something, or what it defines cannot be called.
    """
    program = settings.program
    if program.endswith(".py"):
        path = _directory(settings) / program
        if not path.is_file():
            raise EntryPointError(
                f"{path} is not a file, and SAGEMAKER_PROGRAM is {program}: put it into code/ of "
                "model.tar.gz, or set SAGEMAKER_SUBMIT_DIRECTORY to its folder"
            )
        sys.path.insert(0, str(path.parent))
        sys.dont_write_bytecode = True  # beside the code, in what may be a read-only folder
        _check_requirements(path.parent / "requirements.txt")
        module = guarded(f"{program} cannot be imported", lambda: _import_file(path))
    else:
        module = guarded(
            f"SAGEMAKER_PROGRAM={clip(program)} cannot be imported (a file of the code directory "
            "ends with .py)",
            lambda: importlib.import_module(program),
        )
    return _hooks(module)


def guarded(what: str, run: Callable[[], Any]) -> Any:
    """Run code of the entry point while loading; raise EntryPointError with the place and type.

    The whole traceback goes to the log.
    """
    try:
        return run()
    except ModelError:  # of a model of ours that it loads
        raise
    except (Exception, SystemExit) as error:
        log.error("%s", what, exc_info=True)
        raise EntryPointError(f"{what}: {place(error)}{_reason(error)}") from error


def _directory(settings: Settings) -> Path:
    """Return the code directory. The SDK sets s3:// where the code is not in model.tar.gz.

    https://github.com/aws/sagemaker-python-sdk/blob/master/src/sagemaker/model.py
    """
    given, usual = settings.submit_directory, settings.model_dir / "code"
    if given.startswith("s3://") and not (usual / settings.program).is_file():
        raise EntryPointError(
            f"SAGEMAKER_SUBMIT_DIRECTORY is {clip(given)}, and nothing is downloaded: put "
            f"{settings.program} into code/ of model.tar.gz"
        )
    if not given or given.startswith("s3://"):
        return usual
    return Path(given.removeprefix("file://"))


def _check_requirements(path: Path) -> None:
    """Raise EntryPointError unless all that a requirements.txt names is installed."""
    if not path.exists():
        return
    missing = [line for line in _requirements(path) if not _is_installed(line)]
    if missing:
        raise EntryPointError(
            f"{path} names {clip(', '.join(missing))}, which this image does not have, and nothing "
            f'is installed at a start: build an image with it, "FROM this-image" and "RUN pip '
            f'install -r requirements.txt", as {DOCS} shows'
        )


def _requirements(path: Path) -> list[str]:
    # A comment begins at a line's start or after a space; "#egg=" is none:
    # https://pip.pypa.io/en/stable/reference/requirements-file-format/
    lines = (f" {line}".partition(" #")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def _is_installed(line: str) -> bool:
    """Return whether a line of requirements.txt is met; options of pip and addresses never are."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        return wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False


def _import_file(path: Path) -> ModuleType:
    # By its path: a module of that name may be there already, as `code` is in the standard library.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None  # for a name that ends with .py
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # where pickle and dataclasses look for classes
    spec.loader.exec_module(module)
    return module


def _hooks(module: ModuleType) -> Mapping[str, Hook]:
    name = module.__file__ or module.__name__
    found = {each: getattr(module, each) for each in ARGUMENTS if getattr(module, each, None)}
    if not found:
        raise EntryPointError(f"{name} defines none of {', '.join(ARGUMENTS)}")
    others = [each for each in ("input_fn", "predict_fn", "output_fn") if each in found]
    if "transform_fn" in found and others:
        raise EntryPointError(
            f"{name} defines transform_fn, which does all of {', '.join(others)}: keep one of both"
        )
    return {each: _hook(f"{name}: {each}", each, function) for each, function in found.items()}


def _hook(title: str, name: str, function: Any) -> Hook:
    """Return a function and what it takes; raise EntryPointError if it takes something else."""
    wanted = ARGUMENTS[name]
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise EntryPointError(f"{title} is not a function") from None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(each.kind in positional for each in parameters)
    if count not in (len(wanted), len(wanted) + 1):
        raise EntryPointError(
            f"{title} takes {count} arguments; it is called with ({', '.join(wanted)}), or with "
            f"({', '.join(wanted)}, context)"
        )
    return Hook(function, count > len(wanted))


def place(error: BaseException) -> str:
    """Name the file and line where an exception was raised, outside of installed packages."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: "
    frames = traceback.extract_tb(error.__traceback__)
    installed = ("site-packages", "dist-packages", "importlib", "<frozen")
    own = [
        each
        for each in frames
        if each.filename != __file__ and not any(part in each.filename for part in installed)
    ]
    last = (own or list(frames))[-1]
    if last.filename.startswith("<frozen"):  # the import itself: there is no such module
        return ""
    return f"{last.filename}, line {last.lineno}: "


def _reason(error: BaseException) -> str:
    words = clip(" ".join(str(error).split()), REASON_CHARACTERS)
    found = f"{type(error).__name__}: {words}" if words else type(error).__name__
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] in FULL:
        return f"{found}; the full image has it, the slim one has not"
    return found
