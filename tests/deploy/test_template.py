"""Make, change and delete the CloudFormation stack, and check what its role may do."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.deploy.conftest import IMAGE, Account, output
from tests.deploy.test_flows import ask, variant

TEMPLATE = (ROOT / "deploy" / "cloudformation.yaml").read_text()
ALARMS = [json.loads(line) for line in (ROOT / "docs" / "alarms.jsonl").read_text().splitlines()]
IAM = ["CAPABILITY_IAM"]


def parameters(**given: str) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]


@pytest.fixture
def stack(account: Account) -> Iterator[str]:
    """Give a stack in an empty account, and check that its deletion leaves nothing."""
    client = account.rehearsal.client("cloudformation")
    client.create_stack(
        StackName="reviews",
        TemplateBody=TEMPLATE,
        Capabilities=IAM,
        Parameters=parameters(Image=IMAGE, AlarmTopic="arn:aws:sns:us-east-1:123456789012:on-call"),
    )
    client.get_waiter("stack_create_complete").wait(StackName="reviews")
    yield "reviews"
    client.delete_stack(StackName="reviews")
    client.get_waiter("stack_delete_complete").wait(StackName="reviews")
    assert account.rehearsal.client("cloudwatch").list_dashboards()["DashboardEntries"] == []


def test_a_stack_answers_and_is_updated_while_it_serves(account: Account, stack: str) -> None:
    client = account.rehearsal.client("cloudformation")
    (found,) = client.describe_stacks(StackName=stack)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
    assert outputs["EndpointName"] == stack
    assert ask(account, stack) == 1
    assert variant(account, stack)["CurrentServerlessConfig"]["MemorySizeInMB"] == 1024
    client.update_stack(
        StackName=stack,
        UsePreviousTemplate=True,
        Capabilities=IAM,
        Parameters=parameters(Image=IMAGE, MemorySizeInMB="2048", ProvisionedConcurrency="1"),
    )
    client.get_waiter("stack_update_complete").wait(StackName=stack)
    config = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 1}
    assert variant(account, stack)["CurrentServerlessConfig"] == config
    assert ask(account, stack) == 1


def test_its_alarms_are_those_of_the_documents(account: Account, stack: str) -> None:
    client = account.rehearsal.client("cloudwatch")
    made = {each["AlarmName"]: each for each in client.describe_alarms()["MetricAlarms"]}
    known = [each for each in ALARMS if each.get("Namespace", "").lower().strip("/")[:3] == "aws"]
    assert len(made) == len(known)
    for alarm in known:
        text = json.dumps(alarm).replace("ENDPOINT", stack)
        wanted = json.loads(text.replace("TOPIC", "arn:aws:sns:us-east-1:123456789012:on-call"))
        found = made[wanted["AlarmName"]]
        assert {name: found[name] for name in wanted} == wanted


def test_its_dashboard_asks_for_metrics_of_the_endpoint(account: Account, stack: str) -> None:
    found = account.rehearsal.client("cloudwatch").get_dashboard(DashboardName=stack)[
        "DashboardBody"
    ]
    widgets = json.loads(found)["widgets"]
    assert len(widgets) == 4
    assert all(stack in json.dumps(each) for each in widgets)


def test_the_role_is_that_of_the_script(account: Account, stack: str) -> None:
    iam = account.rehearsal.client("iam")
    resources = account.rehearsal.client("cloudformation").describe_stack_resources(StackName=stack)
    (theirs,) = [
        each["PhysicalResourceId"]
        for each in resources["StackResources"]
        if each["ResourceType"] == "AWS::IAM::Role"
    ]
    ours = account.role().rsplit("/", 1)[1]
    granted = [iam.get_role_policy(RoleName=name, PolicyName="endpoint") for name in (theirs, ours)]
    # moto shows the policy of a stack as Python does.
    policy = ast.literal_eval(granted[0]["PolicyDocument"])
    assert policy == granted[1]["PolicyDocument"]
    trusts = [
        iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] for name in (theirs, ours)
    ]
    assert trusts[0] == trusts[1]


def test_the_role_reads_the_bucket_of_the_model_only(account: Account) -> None:
    account.run("role.py", "--wait", "0", "--name", "with-model", "--bucket", "models")
    policy = account.rehearsal.client("iam").get_role_policy(
        RoleName="with-model", PolicyName="endpoint"
    )["PolicyDocument"]
    (statement,) = [each for each in policy["Statement"] if each["Action"] == "s3:GetObject"]
    assert statement["Resource"] == "arn:aws:s3:::models/*"


def test_the_command_in_its_head_deploys_it(account: Account, aws: str) -> None:
    (command,) = re.findall(r"#   (aws .*(?:\n#     .*)*)", TEMPLATE)
    command = command.replace("\n#", "").replace("\\", "").replace("URI", IMAGE)
    here = Account(account.rehearsal, {**account.environment, "PATH": aws})
    for change in ("", " MemorySizeInMB=2048"):
        output(here.start("bash", "-c", command + change))
    assert variant(account)["CurrentServerlessConfig"]["MemorySizeInMB"] == 2048
    assert ask(account) == 1
    output(here.start("aws", "cloudformation", "delete-stack", "--stack-name", "sentiment"))


def test_the_linter_of_aws_has_nothing_to_say() -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    found = subprocess.run([lint], input=TEMPLATE, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
