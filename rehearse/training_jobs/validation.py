"""Refuse training jobs that the platform would refuse, or that the rehearsal cannot run.

Members and types are checked before, by botocore's service model. Where the words of a refusal are
not published, they are ours.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from platform_facts import OPT_ML
from rehearse.data_plane import artifacts
from rehearse.errors import ArtifactError, unmet
from rehearse.training_jobs.folders import CHECKPOINTS

# ChannelName in botocore's service model.
CHANNEL = re.compile(r"[A-Za-z0-9.\-_]+")


def check_training_job(asked: Mapping[str, Any], s3: Any, region: str) -> None:
    """Refuse a request; `s3` is a boto3 client, for the inputs must be there."""
    algorithm = asked["AlgorithmSpecification"]
    if not algorithm.get("TrainingImage"):
        raise ValidationError("The rehearsal runs a TrainingImage; AlgorithmName is not imitated.")
    _check_resources(asked.get("ResourceConfig") or {})
    if not (asked.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds"):
        raise ValidationError("StoppingCondition must have MaxRuntimeInSeconds.")
    for definition in algorithm.get("MetricDefinitions") or ():
        _check_metric(definition)
    output = asked["OutputDataConfig"]
    if output.get("CompressionType", "GZIP") != "GZIP":
        raise ValidationError("The rehearsal writes model.tar.gz; CompressionType NONE is refused.")
    _check_address(output["S3OutputPath"])
    if checkpoints := asked.get("CheckpointConfig"):
        _check_address(checkpoints["S3Uri"])
        local = PurePosixPath(checkpoints.get("LocalPath") or CHECKPOINTS)
        if PurePosixPath(OPT_ML) not in local.parents or ".." in local.parts:
            raise ValidationError(f"The rehearsal keeps checkpoints below {OPT_ML} only.")
    names = [each["ChannelName"] for each in asked.get("InputDataConfig") or ()]
    for name in names:
        if names.count(name) > 1:
            raise ValidationError(f"The channel {name} is named twice.")
    for channel in asked.get("InputDataConfig") or ():
        _check_channel(channel, algorithm["TrainingInputMode"])
        _check_objects(channel, s3, region, asked["RoleArn"])


def _check_resources(resources: Mapping[str, Any]) -> None:
    if resources.get("InstanceGroups") or resources.get("InstanceCount", 1) > 1:
        raise ValidationError("The rehearsal trains on one instance; InstanceCount must be 1.")
    if not resources.get("InstanceType") or not resources.get("InstanceCount"):
        raise ValidationError("ResourceConfig must have InstanceType and InstanceCount.")


def _check_metric(definition: Mapping[str, str]) -> None:
    """Refuse what matches no value.

    https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
    """
    try:
        groups = re.compile(definition["Regex"]).groups
    except re.error as error:
        raise ValidationError(
            f"The Regex of the metric {definition['Name']} cannot be read: {error}."
        ) from error
    if not groups:
        raise ValidationError(
            f"The Regex of the metric {definition['Name']} must have a group, whose match is the "
            "value: ([0-9.]+)."
        )


def _check_channel(channel: Mapping[str, Any], job_mode: str) -> None:
    name = channel["ChannelName"]
    if not CHANNEL.fullmatch(name) or name in (".", ".."):
        raise ValidationError(
            unmet(name, "channelName", f"satisfy regular expression pattern: {CHANNEL.pattern}")
        )
    if (channel.get("InputMode") or job_mode) == "Pipe":
        raise ValidationError(
            f"Channel {name}: input mode Pipe is not imitated by the rehearsal; use File or "
            "FastFile."
        )
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise ValidationError(f"Channel {name}: the rehearsal reads an S3DataSource only.")
    for member, value, wanted in (
        ("S3DataType", source["S3DataType"], "S3Prefix"),
        # Of the mode Pipe, as the documentation says.
        ("CompressionType", channel.get("CompressionType") or "None", "None"),
        ("RecordWrapperType", channel.get("RecordWrapperType") or "None", "None"),
    ):
        if value != wanted:
            raise ValidationError(
                f"Channel {name}: {member} {value} is not imitated; use {wanted}."
            )
    _check_address(source["S3Uri"])


def _check_objects(channel: Mapping[str, Any], s3: Any, region: str, role: str) -> None:
    """Refuse an input without objects.

    Seen at https://github.com/aws/amazon-sagemaker-examples/issues/2489
    """
    url = channel["DataSource"]["S3DataSource"]["S3Uri"]
    if not artifacts.exists(s3, url):
        raise ValidationError(
            f'No S3 objects found under S3 URL "{url}" given in input data source. Please ensure '
            f"that the bucket exists in the selected region ({region}), that objects exist under "
            f'that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions on '
            f'bucket "{artifacts.split(url)[0]}".'
        )


def _check_address(url: str) -> None:
    try:
        artifacts.split(url)
    except ArtifactError as error:
        raise ValidationError(str(error)) from error
