"""Make the model.tar.gz of your own model, look into it, and put it into S3."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from platform_facts import MEMORY_SIZES_MB

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = "manifest.json"
# https://huggingface.co/docs/huggingface_hub/package_reference/utilities#huggingface_hub.utils.validate_repo_id
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
# Memory that serving takes beside the files of a model; most of it is torch, for one that is not
# packed.
SERVER_MB = 400
# The tags and the metadata by which delete.py knows what own_model.py made.
MARK = {"made-by": "own_model.py"}


class Refused(Exception):
    """Raised for what cannot be deployed; the message is one line that says what to do."""


def find(given: str, folder: Path) -> Path:
    """Return the model.tar.gz to deploy: the given one, or one that is made in `folder`.

    Raises Refused for what is not a model.
    """
    path = Path(given)
    if path.is_file():
        return path
    made = folder / "model.tar.gz"
    if (path / MANIFEST).is_file():
        _write(path, made)
    elif path.is_dir() or HUB_ID.fullmatch(given):
        _pack(given, made)
    else:
        raise Refused(
            f"{given} is not there: name a checkpoint, what pack-model wrote, or ORG/NAME of a "
            "checkpoint on the Hugging Face Hub"
        )
    return made


def _pack(checkpoint: str, target: Path) -> None:
    """Run pack-model, without weights in the layout of this CPU: the endpoint has another one."""
    command = [sys.executable, "-m", "compress.pack", checkpoint, str(target.parent / "packed")]
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, "--portable-only", "--archive", str(target)],
        env={**os.environ, "PYTHONPATH": search},
        stdout=sys.stderr,  # the answer of the endpoint goes alone to stdout
        check=False,
    )
    if done.returncode:
        raise Refused(f"{checkpoint} cannot be packed; the reason is above")


def _write(directory: Path, target: Path) -> None:
    """Write what the manifest of a packed folder names, its card and its code/; nothing else."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        files = [name for each in [manifest, *manifest["prepacked"]] for name in each["files"]]
        own = [name for name in ("README.md", "code") if (directory / name).exists()]
        with tarfile.open(target, "w:gz", compresslevel=6) as tar:
            for name in dict.fromkeys([MANIFEST, *files, *own]):
                tar.add(directory / name, name, filter=_readable)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{directory} is not what pack-model wrote: {error}") from error


def _readable(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Let every user read the member, since the server may run as any; leave out byte code."""
    member.mode = 0o755 if member.isdir() else 0o644
    return None if "__pycache__" in member.name else member


def look_into(path: Path) -> tuple[int, bool]:
    """Return how many bytes an archive unpacks to, and whether it holds a packed model."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            members = tar.getmembers()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise Refused(f"{path} is not a model.tar.gz: {error}") from error
    names = {each.name.removeprefix("./") for each in members}
    return sum(each.size for each in members), MANIFEST in names


def memory(unpacked: int) -> int:
    """Return the smallest memory size, in MB, that a model of so many bytes fits."""
    needed = SERVER_MB + (unpacked >> 20)
    for size in MEMORY_SIZES_MB:
        if needed <= size:
            return size
    raise Refused(
        f"the model needs about {needed:,} MB of memory; serverless has {MEMORY_SIZES_MB[-1]:,}"
    )


@dataclass(frozen=True)
class Place:
    """The place of an endpoint's archive in S3; `session` is boto3's."""

    session: Any
    bucket: str
    key: str

    @classmethod
    def of(cls, session: Any, endpoint: str, bucket: str | None) -> Place:
        """Choose the bucket that the SageMaker SDK uses, unless one is given."""
        default = f"sagemaker-{session.region_name}-{account(session)}"
        return cls(session, bucket or default, f"{endpoint}/model.tar.gz")

    @property
    def url(self) -> str:
        """The archive as CreateModel takes it."""
        return f"s3://{self.bucket}/{self.key}"

    def put(self, archive: Path, tell: Callable[[str], None]) -> None:
        """Upload the archive; make the bucket if there is none, and tell what was made."""
        # Refuses a bucket of this name that belongs to somebody else.
        owner = {"ExpectedBucketOwner": account(self.session)}
        s3 = self.session.client("s3")
        try:
            region = s3.head_bucket(Bucket=self.bucket, **owner).get("BucketRegion")
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            self._make_bucket(s3)
            tell(f"bucket {self.bucket}")
        else:
            # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
            if region not in (None, self.session.region_name):
                raise Refused(
                    f"the bucket {self.bucket} lies in {region}, and the model of an endpoint in "
                    f"{self.session.region_name} must lie there: name another --bucket"
                )
        s3.upload_file(str(archive), self.bucket, self.key, {"Metadata": MARK, **owner})
        tell(self.url)

    def _make_bucket(self, s3: Any) -> None:
        # The API refuses the name of this one region:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        region = self.session.region_name
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=self.bucket, **({} if region == "us-east-1" else where))
        s3.put_bucket_tagging(Bucket=self.bucket, Tagging={"TagSet": tags()})


def account(session: Any) -> str:
    """Return the number of the account that the credentials belong to."""
    return str(session.client("sts").get_caller_identity()["Account"])


def tags() -> list[dict[str, str]]:
    """Return the mark as AWS takes tags."""
    return [{"Key": name, "Value": value} for name, value in MARK.items()]
