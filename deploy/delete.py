"""Delete an endpoint with all that belongs to it.

That is the endpoint and its scaling, its models with all their configurations, its alarms and its
log, and the archive, the bucket and the role that own_model.py made for it; with --packages also
the versions in the model registry. What another endpoint uses is kept. Without --yes it only says
what it would do. A stack is deleted by `aws cloudformation delete-stack`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if not __package__:  # run as a file: what is imported lies in the root, not beside it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from deploy import archives, role

# What is to be deleted, and the call that does it.
Step = tuple[str, Callable[[], Any]]


def pages(client: Any, operation: str, key: str, **given: Any) -> Iterator[Any]:
    """Yield every item of a list that AWS gives page by page."""
    for page in client.get_paginator(operation).paginate(**given):
        yield from page[key]


class Models:
    """The models of one endpoint, without those that another one uses."""

    def __init__(self, client: Any, name: str) -> None:
        endpoints = {
            each["EndpointName"]: client.describe_endpoint(EndpointName=each["EndpointName"])
            for each in pages(client, "list_endpoints", "Endpoints")
        }
        self.has_endpoint = name in endpoints
        used = {each["EndpointConfigName"] for each in endpoints.values()}
        models = {}
        for each in pages(client, "list_endpoint_configs", "EndpointConfigs"):
            config = each["EndpointConfigName"]
            found = client.describe_endpoint_config(EndpointConfigName=config)
            models[config] = {variant["ModelName"] for variant in found["ProductionVariants"]}
        own = endpoints[name]["EndpointConfigName"] if self.has_endpoint else name
        others = set().union(*(models.get(each, ()) for each in used - {own}))
        there = {each["ModelName"] for each in pages(client, "list_models", "Models")}
        # Also the model of the endpoint's own name, which may be there without an endpoint, and
        # those that update.py has replaced.
        before = re.compile(rf"{name}|{name[:40]}-(\d+|instance)-\d+")
        self.names = models.get(own, set()) | set(filter(before.fullmatch, there))
        self.names = (self.names & there) - others
        self.configs = [each for each, inside in models.items() if inside & self.names]
        self.own = [client.describe_model(ModelName=each) for each in self.names]
        self.others = [client.describe_model(ModelName=each) for each in there - self.names]


def sagemaker(client: Any, name: str, found: Models, packages: bool) -> Iterator[Step]:
    """Yield the endpoint, its configurations, models and model packages."""
    versions = {
        each["ModelPackageName"]
        for model in found.own
        for each in containers(model)
        if "ModelPackageName" in each
    }
    if found.has_endpoint:
        yield f"endpoint {name}", partial(delete_endpoint, client, name)
    for each in found.configs:
        yield (
            f"configuration {each}",
            partial(client.delete_endpoint_config, EndpointConfigName=each),
        )
    for each in found.names:
        yield f"model {each}", partial(client.delete_model, ModelName=each)
    for each in versions if packages else ():
        yield f"package {each}", partial(client.delete_model_package, ModelPackageName=each)
    for group in {each.split("/")[1] for each in versions} if packages else ():
        inside = pages(
            client, "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=group
        )
        if {each["ModelPackageArn"] for each in inside} <= versions:
            delete = partial(client.delete_model_package_group, ModelPackageGroupName=group)
            yield f"group {group}", delete


def delete_endpoint(client: Any, name: str) -> None:
    """Delete the endpoint and wait until it is gone, since what it uses is deleted next."""
    client.delete_endpoint(EndpointName=name)
    client.get_waiter("endpoint_deleted").wait(EndpointName=name)


def own_archive(name: str, found: Models, bucket: str | None) -> Iterator[Step]:
    """Yield the archive that own_model.py uploaded, and its bucket if that holds nothing else."""
    session = boto3.Session()
    s3 = session.client("s3")
    place = archives.Place.of(session, name, bucket)
    urls = {url for model in found.own for url in data(model)} | {place.url}
    for url in urls - {url for model in found.others for url in data(model)}:
        where, _, key = url.removeprefix("s3://").partition("/")
        # An archive that is not there, or that we may not see, was not made for this endpoint.
        if try_call(s3.head_object, Bucket=where, Key=key).get("Metadata") != archives.MARK:
            continue
        yield f"archive {url}", partial(s3.delete_object, Bucket=where, Key=key)
        tagged = try_call(s3.get_bucket_tagging, Bucket=where).get("TagSet")
        inside = [each["Key"] for each in s3.list_objects_v2(Bucket=where)["Contents"]]
        if tagged == archives.tags() and inside == [key]:
            yield f"bucket {where}", partial(s3.delete_bucket, Bucket=where)


def own_role(name: str, found: Models) -> Iterator[Step]:
    """Yield the role that own_model.py made, unless another model uses it."""
    iam = boto3.client("iam")
    own = role.name_for(name)
    made = try_call(iam.get_role, RoleName=own).get("Role", {})
    used = {model["ExecutionRoleArn"] for model in found.others}
    if made.get("Tags") == archives.tags() and made["Arn"] not in used:
        yield f"role {own}", partial(delete_role, iam, own)


def delete_role(iam: Any, name: str) -> None:
    """Delete a role after its policy, if it has one, which must be deleted first."""
    try_call(iam.delete_role_policy, RoleName=name, PolicyName=role.POLICY)
    iam.delete_role(RoleName=name)


def try_call(call: Callable[..., Any], **given: Any) -> dict[str, Any]:
    """Return the answer to a call, or nothing where AWS refuses it."""
    try:
        return dict(call(**given))
    except ClientError:
        return {}


def data(model: dict[str, Any]) -> set[str]:
    """Return the URLs of a model's archives."""
    return {each["ModelDataUrl"] for each in containers(model) if "ModelDataUrl" in each}


def containers(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of a model, which CreateModel takes in two ways."""
    return model.get("Containers") or [model["PrimaryContainer"]]


def scaling(name: str) -> Iterator[Step]:
    """Yield the scalable targets; their policies are deleted with them."""
    client = boto3.client("application-autoscaling")
    for each in pages(
        client, "describe_scalable_targets", "ScalableTargets", ServiceNamespace="sagemaker"
    ):
        place = {key: each[key] for key in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
        if each["ResourceId"].startswith(f"endpoint/{name}/"):
            yield f"scaling of {name}", partial(client.deregister_scalable_target, **place)


def alarms(name: str) -> Iterator[Step]:
    """Yield the alarms that watch the endpoint, whatever their names are."""
    client = boto3.client("cloudwatch")
    wanted = {"Name": "EndpointName", "Value": name}
    for alarm in pages(client, "describe_alarms", "MetricAlarms", AlarmTypes=["MetricAlarm"]):
        inside = [each.get("MetricStat", {}).get("Metric", {}) for each in alarm.get("Metrics", [])]
        if any(wanted in each.get("Dimensions", []) for each in [alarm, *inside]):
            delete = partial(client.delete_alarms, AlarmNames=[alarm["AlarmName"]])
            yield f"alarm {alarm['AlarmName']}", delete


def logs(name: str) -> Iterator[Step]:
    """Yield the log group of the endpoint's containers."""
    client = boto3.client("logs")
    group = f"/aws/sagemaker/Endpoints/{name}"
    for each in pages(client, "describe_log_groups", "logGroups", logGroupNamePrefix=group):
        if each["logGroupName"] == group:
            yield f"log group {group}", partial(client.delete_log_group, logGroupName=group)


def main() -> None:
    """Say what would be deleted, and delete it if --yes is given."""
    parser = argparse.ArgumentParser(description="Delete an endpoint with all that belongs to it.")
    parser.add_argument("endpoint", help="its name")
    parser.add_argument("--packages", action="store_true", help="also from the model registry")
    parser.add_argument("--bucket", help="that own_model.py was given, if it made no model")
    parser.add_argument("--yes", action="store_true", help="do it")
    given = parser.parse_args()
    name = given.endpoint
    client = boto3.client("sagemaker")
    found = Models(client, name)
    # Everything is found before anything is deleted.
    steps = [
        *scaling(name),
        *sagemaker(client, name, found, given.packages),
        *alarms(name),
        *logs(name),
        *own_archive(name, found, given.bucket),
        *own_role(name, found),
    ]
    for what, delete in steps:
        print("deleting" if given.yes else "would delete", what)
        if given.yes:
            delete()
    if not steps:
        print(f"there is nothing of {name}")


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"delete.py: {error}") from error
