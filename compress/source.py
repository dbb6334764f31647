"""Find the checkpoint that is named: a folder, an adapter, or a model of the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compress import adapter
from model_handler.artifacts import ARCHIVES
from model_handler.errors import ArtifactError

# What a checkpoint consists of: weights as plain tensors, configuration, tokenizer, card. No code.
WANTED = [
    "config.json",
    "adapter_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "README.md",
]
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True)
class Source:
    """A folder with a checkpoint, and the name that it goes by."""

    directory: Path
    name: str


def find(checkpoint: str, scratch: Path, say: Callable[[str], None]) -> Source:
    """Find the folder of a checkpoint: download it from the Hub, or merge an adapter, if need be.

    A path that exists wins over a model of the Hub with that name. Merged weights go to `scratch`.
    Raises ArtifactError with the reason.
    """
    path = Path(checkpoint)
    if path.is_dir():
        source = Source(path, path.resolve().name)
    elif path.exists():
        raise ArtifactError(_not_a_folder(path))
    elif _HUB_ID.fullmatch(checkpoint):
        say(f"download {checkpoint} from the Hugging Face Hub")
        named = scratch / "downloaded" / checkpoint
        named.parent.mkdir(parents=True, exist_ok=True)
        named.symlink_to(download(checkpoint))  # whose own name is that of a commit
        source = Source(named, checkpoint)
    else:
        raise ArtifactError(f"{checkpoint} is not a directory; name one with a checkpoint")
    if not (source.directory / adapter.CONFIG).exists():
        return source
    say("merge the adapter with its base model")
    merged = scratch / "merged" / Path(source.name).name
    adapter.merge(source.directory, merged, lambda base: find(base, scratch, say).directory)
    return Source(merged, source.name)


def check(checkpoint: str) -> None:
    """Raise ArtifactError for what can be no checkpoint, before anything is done."""
    path = Path(checkpoint)
    if path.is_dir():
        return
    if path.exists():
        raise ArtifactError(_not_a_folder(path))
    if not _HUB_ID.fullmatch(checkpoint):
        raise ArtifactError(f"{checkpoint} is not a directory; name one with a checkpoint")


def _not_a_folder(path: Path) -> str:
    if path.name.endswith(ARCHIVES):
        return (
            f"{path} is an archive: unpack it into a new folder (mkdir checkpoint; tar -xf {path} "
            "-C checkpoint) and name that"
        )
    return f"{path} is a file; name the folder of a checkpoint"


def download(name: str) -> Path:
    """Download ORG/NAME from the Hub to its cache, where nothing is fetched twice.

    HF_HOME, HF_HUB_OFFLINE and HF_TOKEN are obeyed:
    https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    """
    from huggingface_hub import errors, snapshot_download

    try:
        # Files in folders are other forms of the model.
        folder = Path(snapshot_download(name, allow_patterns=WANTED, ignore_patterns=["*/*"]))
    except errors.GatedRepoError as error:
        raise ArtifactError(
            f"{name} asks for consent: give it on the model's page, and set HF_TOKEN"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ArtifactError(
            f"{name} is neither a folder here nor a model of the Hugging Face Hub that you may "
            "read; check the name, or set HF_TOKEN"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        offline = isinstance(error.__cause__, errors.OfflineModeIsEnabled)
        why = "HF_HUB_OFFLINE is set" if offline else "the Hub cannot be reached"
        raise ArtifactError(
            f"{name} is no folder here, and as a model of the Hugging Face Hub it cannot be "
            f"downloaded: {why}; name the folder of a checkpoint"
        ) from error
    except Exception as error:  # of the client below it, which has many types
        raise ArtifactError(
            f"{name} cannot be downloaded: {' '.join(str(error).split())}"
        ) from error
    if not any(folder.glob("*.safetensors")):
        raise ArtifactError(
            f"{name} has no .safetensors on the Hugging Face Hub, which alone are downloaded; "
            "download the model yourself, and name its folder"
        )
    return folder
