"""Run every script of deploy/: from an empty account to an answer, and back to an empty one."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import ROOT
from tests.deploy.conftest import IMAGE, Account, output, program

LABELS = [1, 0, -1]
SDKS = {"sdk_v2": "sagemaker==2.257.7", "sdk_v3": "sagemaker==3.27.0"}


def variant(account: Account, name: str = "sentiment") -> dict[str, Any]:
    """Return the one variant of an endpoint that is in service."""
    found = account.rehearsal.client("sagemaker").describe_endpoint(EndpointName=name)
    assert found["EndpointStatus"] == "InService"
    (only,) = found["ProductionVariants"]
    return dict(only)


def ask(account: Account, name: str = "sentiment", text: str = "I love this product!") -> int:
    """Return the label that client.py prints."""
    client = account.start(sys.executable, "deploy/client.py", name, stdin=subprocess.PIPE)
    return int(json.loads(output(client, f"{text}\n"))["predicted_label"])


def labels(out: str) -> list[int]:
    """Read the labels that an SDK's script prints; SDK 2 shows progress on the same line."""
    answers = map(ast.literal_eval, re.findall(r"\{.*\}", out))
    return [each["predicted_label"] for each in answers]


def told(memory: int) -> dict[str, str]:
    """Return the variables that each way to deploy sets."""
    return {"MEMORY_SIZE_IN_MB": str(memory), "ENDPOINT_NAME": "sentiment"}


def environment(account: Account) -> dict[str, str]:
    """Return the variables of the model that serves."""
    found = account.rehearsal.client("sagemaker").describe_model(ModelName="sentiment")
    return dict(found["PrimaryContainer"]["Environment"])


def deploy(account: Account, name: str = "sentiment", memory: str = "1024") -> None:
    """Deploy as the announcement does."""
    arguments = ["--package", account.package("--group", name), "--role", account.role()]
    arguments += ["--memory", memory]
    answer = json.loads(account.run("boto3_blog.py", *arguments, "--name", name))
    assert answer["predicted_label"] == 1


def delete(account: Account, name: str = "sentiment") -> str:
    return account.run("delete.py", name, "--packages", "--yes")


def test_boto3_as_the_blog_has_it(account: Account) -> None:
    deploy(account, memory="2048")
    config = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert variant(account)["CurrentServerlessConfig"] == config
    (container,) = account.rehearsal.client("sagemaker").describe_model(ModelName="sentiment")[
        "Containers"
    ]
    assert container["Environment"] == told(2048)
    assert ask(account, text="This is not the right product.") == -1
    delete(account)


def test_only_what_is_approved_is_deployed(account: Account) -> None:
    package = account.package("--pending")
    client = account.rehearsal.client("sagemaker")
    call = {"ModelName": "m", "ExecutionRoleArn": account.role()}
    with pytest.raises(ClientError, match="must be Approved"):
        client.create_model(**call, Containers=[{"ModelPackageName": package}])
    second = account.package()
    assert int(second.rsplit("/", 1)[1]) == int(package.rsplit("/", 1)[1]) + 1
    client.create_model(**call, Containers=[{"ModelPackageName": second}])
    account.run("delete.py", "m", "--yes")
    client.delete_model_package(ModelPackageName=package)
    client.delete_model_package(ModelPackageName=second)
    client.delete_model_package_group(ModelPackageGroupName="sentiment")


@pytest.mark.parametrize("script", ["sdk_v2", "sdk_v3"])
def test_the_sdks_deploy_an_image(script: str, account: Account) -> None:
    python = program(script, "python")
    out = account.run(f"{script}.py", "--role", account.role(), "--image", IMAGE, python=python)
    assert labels(out) == LABELS
    assert variant(account)["CurrentServerlessConfig"]["MemorySizeInMB"] == 1024
    assert environment(account) == told(1024)
    delete(account)


@pytest.mark.parametrize("script", SDKS)
def test_the_sdks_are_those_that_are_told(script: str) -> None:
    show = "from importlib.metadata import version as v; print('sagemaker==' + v('sagemaker'))"
    found = subprocess.check_output([program(script, "python"), "-c", show], text=True)
    assert found.strip() == SDKS[script]
    assert SDKS[script] in (ROOT / "Makefile").read_text()


ROLE_AND_BUCKET = """
import sagemaker
session = sagemaker.Session()
print(sagemaker.get_execution_role(session), session.default_bucket())
"""


def test_sdk_2_finds_its_role_and_its_bucket(account: Account) -> None:
    """It calls STS at an address of AWS, whatever AWS_ENDPOINT_URL says."""
    python = program("sdk_v2", "python")
    role, bucket = output(account.start(python, "-c", ROLE_AND_BUCKET)).splitlines()[-1].split()
    assert role.startswith("arn:aws:iam::123456789012:role/service-role/")
    assert bucket == "sagemaker-us-east-1-123456789012"
    account.rehearsal.client("s3").delete_bucket(Bucket=bucket)


def test_the_cli_takes_the_files_as_they_are(account: Account, aws: str) -> None:
    given = {"PATH": aws, "IMAGE": IMAGE, "ROLE": account.role()}
    here = Account(account.rehearsal, {**account.environment, **given})
    out = output(here.start("bash", "deploy/cli.sh"))
    answers = [json.loads(line) for line in out.splitlines() if line.startswith('{"')]
    assert [each["predicted_label"] for each in answers] == LABELS
    (config,) = account.rehearsal.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
    assert config["EndpointConfigName"] == "sentiment-1024"
    assert environment(account) == told(1024)
    delete(account)


@pytest.mark.parametrize("before", [{"MEMORY_SIZE_IN_MB": "1024"}, {}])
def test_a_model_is_told_its_new_memory_size(before: dict[str, str], account: Account) -> None:
    rehearsal = account.rehearsal
    client = rehearsal.client("sagemaker")
    client.create_model(
        ModelName="sentiment",
        ExecutionRoleArn=account.role(),
        PrimaryContainer={"Image": IMAGE, "Environment": before},
    )
    config = rehearsal.config("sentiment")
    client.create_endpoint(EndpointName="sentiment", EndpointConfigName=config)
    client.get_waiter("endpoint_in_service").wait(EndpointName="sentiment")
    account.run("update.py", "memory", "sentiment", "2048")
    found = client.describe_endpoint(EndpointName="sentiment")["EndpointConfigName"]
    (now,) = client.describe_endpoint_config(EndpointConfigName=found)["ProductionVariants"]
    found = client.describe_model(ModelName=now["ModelName"])["PrimaryContainer"]
    assert found == {"Image": IMAGE, "Environment": {"MEMORY_SIZE_IN_MB": "2048"}}
    assert ask(account) == 1
    delete(account)


def test_the_cli_says_what_is_missing(account: Account) -> None:
    process = account.start("bash", "deploy/cli.sh")
    _, err = process.communicate()
    assert process.returncode != 0
    assert "set IMAGE to the URI" in err


def shown(page: str) -> list[dict[str, Any]]:
    """Return the JSON documents in a page."""
    text = (ROOT / page).read_text()
    return [json.loads(block) for block in re.findall(r"```json\n(\{\n[^`]*)```", text)]


def test_the_pages_show_the_files_of_the_cli() -> None:
    config = json.loads((ROOT / "deploy" / "endpoint-config.json").read_text())
    assert shown("README.md") == [config]
    model, again = shown("docs/deploy.md")
    assert again == config
    model["ExecutionRoleArn"], model["PrimaryContainer"]["Image"] = "ROLE", "IMAGE"
    assert json.loads((ROOT / "deploy" / "model.json").read_text()) == model


def test_an_endpoint_is_updated_while_it_serves(account: Account) -> None:
    deploy(account)
    account.run("update.py", "memory", "sentiment", "2048")
    assert variant(account)["CurrentServerlessConfig"]["MemorySizeInMB"] == 2048
    account.run("update.py", "provisioned", "sentiment", "2")
    config = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 2}
    assert variant(account)["CurrentServerlessConfig"] == config

    account.run("update.py", "scale", "sentiment", "--most", "4")
    scaling = account.rehearsal.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredProvisionedConcurrency"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 0.7
    assert ask(account) == 1

    account.run("update.py", "real-time", "sentiment", "ml.c5.large")
    now = variant(account)
    assert (now["VariantName"], now["CurrentInstanceCount"]) == ("RealTime", 1)
    # There, the memory size of an endpoint that is no more would be a limit.
    newest = account.rehearsal.client("sagemaker").list_models(SortBy="CreationTime")["Models"]
    assert any("instance" in each["ModelName"] for each in newest)
    assert ask(account) == 1
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []

    back = account.start(sys.executable, "deploy/update.py", "memory", "sentiment", "1024")
    assert back.communicate()[1].strip() == "sentiment is not serverless"
    assert back.returncode == 1
    delete(account)


def test_nothing_is_deleted_without_yes_nor_what_another_endpoint_uses(account: Account) -> None:
    client = account.rehearsal.client("sagemaker")
    deploy(account, "mine")
    deploy(account, "other")
    said = account.run("delete.py", "mine", "--packages")
    assert "would delete endpoint mine" in said
    assert "other" not in said
    assert ask(account, "mine") == 1
    # From now on both use the model of "mine".
    client.create_endpoint_config(
        EndpointConfigName="shared",
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": "mine",
                "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
            }
        ],
    )
    client.update_endpoint(EndpointName="other", EndpointConfigName="shared")
    account.rehearsal.status("other")
    delete(account, "mine")
    assert ask(account, "other") == 1
    assert {each["ModelName"] for each in client.list_models()["Models"]} == {"mine", "other"}
    # With the model that it began with.
    assert "model other" in delete(account, "other")
