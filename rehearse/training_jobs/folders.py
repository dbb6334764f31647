"""Fill the folder that a training container sees as /opt/ml, and upload what it has left there.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from platform_facts import FAILURE_CHARACTERS, OPT_ML
from rehearse.data_plane import artifacts
from rehearse.errors import TrainingError, one_line

HOST = "algo-1"
# Where checkpoints lie unless the job says otherwise.
CHECKPOINTS = f"{OPT_ML}/checkpoints"


class JobFolder:
    """The folder of one job; `s3` is a boto3 client, `proceed` raises where a job is to stop."""

    def __init__(
        self, asked: Mapping[str, Any], folder: Path, s3: Any, proceed: Callable[[], None]
    ) -> None:
        self._asked, self.path, self._s3, self._proceed = asked, folder, s3, proceed

    def fill(self) -> None:
        """Write the configuration, and fetch channels and checkpoints.

        Raises ArtifactError, and what `proceed` raises.
        """
        for name in ("input/config", "input/data", "model", "output/data"):
            (self.path / name).mkdir(parents=True)
        for name, content in self._configuration().items():
            path = self.path / "input" / "config" / f"{name}.json"
            path.write_text(json.dumps(content), encoding="utf-8")
        for channel in self._asked.get("InputDataConfig") or ():
            source = channel["DataSource"]["S3DataSource"]
            self._fetch(source["S3Uri"], self.path / "input" / "data" / channel["ChannelName"])
        if checkpoints := self.checkpoints:
            self._fetch(self._asked["CheckpointConfig"]["S3Uri"], checkpoints)

    @property
    def checkpoints(self) -> Path | None:
        """Return the folder of checkpoints, if the job has a CheckpointConfig.

        https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
        """
        config = self._asked.get("CheckpointConfig")
        if not config:
            return None
        local = config.get("LocalPath") or CHECKPOINTS
        return self.path / PurePosixPath(local).relative_to(OPT_ML)

    def failure(self) -> str:
        """Return the reason that the container has left, "" if none."""
        try:
            text = (self.path / "output" / "failure").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return text[:FAILURE_CHARACTERS].strip()

    def upload(self, model: str) -> None:
        """Upload the model to this address, other output beside it, and checkpoints.

        Raises TrainingError.
        """
        try:
            self._upload_archive(self.path / "model", model)
            data = self.path / "output" / "data"
            if data.is_dir() and any(data.iterdir()):
                beside = model.rpartition("/")[0]
                self._upload_archive(data, f"{beside}/output.tar.gz")
            if (checkpoints := self.checkpoints) and checkpoints.is_dir():
                self._upload_files(checkpoints, self._asked["CheckpointConfig"]["S3Uri"])
        except Exception as error:  # of S3, of the file system, of tar: the job says which
            raise TrainingError(
                f"ClientError: Artifact upload failed: {one_line(error)}"
            ) from error

    def _configuration(self) -> dict[str, Any]:
        """Return the files of /opt/ml/input/config, by name."""
        mode = self._asked["AlgorithmSpecification"]["TrainingInputMode"]
        resources = self._asked["ResourceConfig"]
        group = {
            "instance_group_name": "homogeneousCluster",
            "instance_type": resources["InstanceType"],
            "hosts": [HOST],
        }
        return {
            "hyperparameters": self._asked.get("HyperParameters") or {},
            "inputdataconfig": {
                each["ChannelName"]: _described(each, mode)
                for each in self._asked.get("InputDataConfig") or ()
            },
            "resourceconfig": {
                "current_host": HOST,
                "current_instance_type": resources["InstanceType"],
                "current_group_name": group["instance_group_name"],
                "hosts": [HOST],
                "instance_groups": [group],
                "network_interface_name": "eth0",
            },
        }

    def _fetch(self, url: str, folder: Path) -> None:
        """Fetch every object below an address."""
        folder.mkdir(parents=True, exist_ok=True)
        bucket, prefix = artifacts.split(url)
        for key in artifacts.keys(self._s3, bucket, prefix):
            self._proceed()
            if not key.endswith("/"):
                target = artifacts.place(folder, relative_name(key, prefix))
                self._s3.download_file(bucket, key, str(target))

    def _upload_archive(self, folder: Path, url: str) -> None:
        bucket, key = artifacts.split(url)
        with tempfile.TemporaryFile(dir=self.path.parent) as archive:
            with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=1) as tar:
                for each in sorted(folder.iterdir()):
                    tar.add(each, each.name)
            archive.seek(0)
            self._s3.upload_fileobj(archive, bucket, key)

    def _upload_files(self, folder: Path, url: str) -> None:
        bucket, prefix = artifacts.split(url)
        for each in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = each.relative_to(folder).as_posix()
            key = f"{prefix.rstrip('/')}/{name}".lstrip("/")
            self._s3.upload_file(str(each), bucket, key)


def relative_name(key: str, prefix: str) -> str:
    """Return where an object goes in the folder of its channel.

    What lies below the folder that a prefix names, keeps its path there; an object whose name only
    begins like the prefix keeps its own name.
    """
    folder = prefix if prefix.endswith("/") else f"{prefix}/"
    if not prefix or key.startswith(folder):
        return key.removeprefix(folder)
    parent = prefix.rpartition("/")[0]
    return key.removeprefix(parent).lstrip("/")


def _described(channel: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """Return what inputdataconfig.json says of a channel."""
    source = channel["DataSource"]["S3DataSource"]
    found = {
        "TrainingInputMode": channel.get("InputMode") or mode,
        "S3DistributionType": source.get("S3DataDistributionType") or "FullyReplicated",
        "RecordWrapperType": "None",
    }
    if channel.get("ContentType"):
        found["ContentType"] = channel["ContentType"]
    return found
