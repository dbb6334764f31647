"""Deploy the app of the AWS CDK with the CDK's own command, change it, and destroy it."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.deploy.conftest import IMAGE, VENVS, Account, output, program
from tests.deploy.test_flows import ask, variant
from tests.deploy.test_template import IAM, TEMPLATE, parameters

APP = (ROOT / "deploy" / "cdk_app.py").read_text()
COMMANDS = dict(re.findall(r"(cdk (?:deploy|destroy)) (.*=URI)", APP))
TOPIC = "arn:aws:sns:us-east-1:123456789012:on-call"
# moto adds these to an alarm, or they differ from one deployment to the next.
OF_ALARMS = {"AlarmArn", "AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp"}


def with_cdk(environment: Mapping[str, str]) -> dict[str, str]:
    """Return these variables with the CDK in PATH; what it unpacks is kept, it reports nothing."""
    folder = Path(program("cdk", "cdk")).parent
    return {
        **environment,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(VENVS / "cdk" / "cache"),
        "JSII_DEPRECATED": "fail",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }


def cdk(account: Account, folder: Path, command: str, *more: str) -> str:
    """Run a command in the app's docstring, with an image and more options."""
    here = Account(account.rehearsal, with_cdk(account.environment))
    line = f"{command} {COMMANDS[command]} --output {folder}".replace("URI", IMAGE)
    return output(here.start("bash", "-c", " ".join([line, *more])))


def run_app(folder: Path, **context: str) -> subprocess.CompletedProcess[str]:
    """Run the app as the command does, without it; the template is written to the folder."""
    given = {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(folder)}
    return subprocess.run(
        [program("cdk", "python"), "deploy/cdk_app.py"],
        cwd=ROOT,
        env=with_cdk({"HOME": str(folder), **given}),
        capture_output=True,
        text=True,
        check=False,
    )


def made(account: Account) -> dict[str, Any]:
    """Return what the stack and the endpoint "sentiment" are, but for the names that AWS gives."""
    cloudformation = account.rehearsal.client("cloudformation")
    cloudwatch, iam, logs, sagemaker = map(
        account.rehearsal.client, ("cloudwatch", "iam", "logs", "sagemaker")
    )
    (stack,) = cloudformation.describe_stacks(StackName="sentiment")["Stacks"]
    resources = cloudformation.describe_stack_resources(StackName="sentiment")["StackResources"]
    (role,) = (
        each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::IAM::Role"
    )
    endpoint = sagemaker.describe_endpoint(EndpointName="sentiment")
    (config,) = sagemaker.describe_endpoint_config(
        EndpointConfigName=endpoint["EndpointConfigName"]
    )["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=config.pop("ModelName"))
    assert model["ExecutionRoleArn"].endswith(f"/{role}")
    (log,) = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Endpoints/sentiment")[
        "logGroups"
    ]
    policy = iam.get_role_policy(RoleName=role, PolicyName="endpoint")["PolicyDocument"]
    return {
        "description": stack["Description"],
        "outputs": {each["OutputKey"] for each in stack["Outputs"]},
        "trust": iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"],
        # moto shows the policy of a stack as Python does.
        "policy": ast.literal_eval(policy),
        "container": model["PrimaryContainer"],
        "variant": config,
        "retention": log["retentionInDays"],
        "alarms": {
            each["AlarmName"]: {name: each[name] for name in each if name not in OF_ALARMS}
            for each in cloudwatch.describe_alarms()["MetricAlarms"]
        },
    }


def test_the_command_deploys_changes_and_destroys_what_the_template_does(
    account: Account, tmp_path: Path
) -> None:
    """It is given what `rehearse up` exports, and nothing else."""
    client = account.rehearsal.client("cloudformation")
    given = {"AlarmTopic": TOPIC, "ProvisionedConcurrency": "1", "LogRetentionInDays": "7"}
    context = [f"--context {name}={value}" for name, value in given.items()]
    unattended = "--require-approval never"
    cdk(account, tmp_path, "cdk deploy", unattended, *context)
    assert ask(account) == 1
    by_cdk = made(account)
    cdk(account, tmp_path, "cdk deploy", unattended, "--context MemorySizeInMB=2048")
    now = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert variant(account)["CurrentServerlessConfig"] == now
    assert ask(account) == 1
    cdk(account, tmp_path, "cdk destroy")
    assert account.left() == []
    assert "sentiment" not in {each["StackName"] for each in client.describe_stacks()["Stacks"]}

    client.create_stack(
        StackName="sentiment",
        TemplateBody=TEMPLATE,
        Capabilities=IAM,
        Parameters=parameters(Image=IMAGE, **given),
    )
    client.get_waiter("stack_create_complete").wait(StackName="sentiment")
    by_template = made(account)
    client.delete_stack(StackName="sentiment")
    client.get_waiter("stack_delete_complete").wait(StackName="sentiment")
    assert by_cdk == by_template


BOOTSTRAPPED = """
from aws_cdk import App, Stack, aws_logs
app = App()
aws_logs.CfnLogGroup(Stack(app, "of-a-project"), "Log", log_group_name="of-a-project")
app.synth()
"""


def test_a_stack_of_a_project_is_deployed_to_a_bootstrapped_account(
    account: Account, tmp_path: Path
) -> None:
    """With the CDK's default synthesizer, which puts the template into S3, in roles of its own."""
    (tmp_path / "app.py").write_text(BOOTSTRAPPED)
    here = Account(account.rehearsal, with_cdk(account.environment))
    output(here.start("cdk", "bootstrap", "aws://123456789012/us-east-1"))
    app = ["--app", f"python {tmp_path / 'app.py'}", "--output", str(tmp_path / "out")]
    output(here.start("cdk", "deploy", *app, "--require-approval", "never"))
    client = account.rehearsal.client("cloudformation")
    (stack,) = client.describe_stacks(StackName="of-a-project")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    client.delete_stack(StackName="of-a-project")  # the bootstrap stack stays, as on AWS


def test_the_role_reads_the_model_only_and_nothing_is_uploaded(tmp_path: Path) -> None:
    process = run_app(tmp_path, Image=IMAGE, ModelBucket="models", ModelKey="reviews/model.tar.gz")
    assert (process.returncode, process.stderr) == (0, "")
    assert "aws:cdk:asset" not in (tmp_path / "manifest.json").read_text()
    assert not [*tmp_path.glob("asset.*"), *tmp_path.glob("*.assets.json")]
    text = (tmp_path / "sentiment.template.json").read_text()
    template = json.loads(text)
    # Of the version of a bootstrap stack.
    assert {"Parameters", "Rules"}.isdisjoint(template)
    (role,) = (
        each["Properties"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::IAM::Role"
    )
    rights = role["Policies"][0]["PolicyDocument"]["Statement"]
    (read,) = (each for each in rights if each["Action"] == "s3:GetObject")
    partition = {"Ref": "AWS::Partition"}
    arn = ["arn:", partition, ":s3:::models/reviews/model.tar.gz"]
    assert read["Resource"] == {"Fn::Join": ["", arn]}
    container = template["Resources"]["Model"]["Properties"]["PrimaryContainer"]
    assert container["ModelDataUrl"] == "s3://models/reviews/model.tar.gz"
    lint = Path(sys.executable).with_name("cfn-lint")
    found = subprocess.run([lint], input=text, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize(
    ("context", "why"),
    [
        ({}, "give --context Image=URI, as build.sh push prints it"),
        ({"Image": IMAGE, "MemorySize": "2048"}, "MemorySize is not one of StackName, Image, "),
        ({"Image": IMAGE, "MemorySizeInMB": "1000"}, "MemorySizeInMB is one of 1024, 2048, "),
        ({"Image": IMAGE, "MaxConcurrency": "many"}, "MaxConcurrency is a number, not 'many'"),
    ],
)
def test_wrong_context_is_refused_in_one_line(
    context: dict[str, str], why: str, tmp_path: Path
) -> None:
    process = run_app(tmp_path, **context)
    (line,) = process.stderr.splitlines()
    assert line.startswith(f"cdk_app.py: {why}")
    assert process.returncode == 1
    assert not list(tmp_path.glob("*.template.json"))
