"""Stacks are created, updated, rolled back and deleted as on AWS."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rehearse.rehearsal import IMAGE, Rehearsal

VARIANT = {
    "VariantName": "AllTraffic",
    "InitialVariantWeight": 1,
    "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
    "ServerlessConfig": {"MemorySizeInMB": {"Ref": "Memory"}, "MaxConcurrency": {"Ref": "Most"}},
}
TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Memory": {"Type": "Number", "Default": 1024},
        "Most": {"Type": "String", "Default": "3"},
    },
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "sagemaker.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            },
        },
        "Group": {
            "Type": "AWS::SageMaker::ModelPackageGroup",
            "Properties": {"ModelPackageGroupName": {"Fn::Sub": "${AWS::StackName}-group"}},
        },
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {
                "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "Containers": [{"Image": IMAGE}],
            },
        },
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [VARIANT]},
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {
                "EndpointName": {"Fn::Sub": "${AWS::StackName}-endpoint"},
                "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
            },
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": {"Fn::Sub": "${AWS::StackName}-alarm"},
                "Namespace": "AWS/SageMaker",
                "MetricName": "Invocation5XXErrors",
                "Dimensions": [
                    {
                        "Name": "EndpointName",
                        "Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
                    }
                ],
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 0,
                "ComparisonOperator": "GreaterThanThreshold",
            },
        },
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardBody": '{"widgets": []}'},
        },
    },
    "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}}},
}


def stack(rehearsal: Rehearsal, name: str) -> dict[str, Any]:
    return dict(rehearsal.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0])


def create(rehearsal: Rehearsal, template: dict[str, Any]) -> str:
    name = rehearsal.name("stack")
    rehearsal.client("cloudformation").create_stack(
        StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    return name


def concurrency(rehearsal: Rehearsal, endpoint: str) -> int:
    found = rehearsal.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return int(found["ProductionVariants"][0]["CurrentServerlessConfig"]["MaxConcurrency"])


def parameters(most: int) -> list[dict[str, str]]:
    return [
        {"ParameterKey": "Memory", "ParameterValue": "2048"},
        {"ParameterKey": "Most", "ParameterValue": str(most)},
    ]


def test_a_stack_from_nothing_to_an_answer_to_nothing(rehearsal: Rehearsal) -> None:
    client, sagemaker = rehearsal.client("cloudformation"), rehearsal.client("sagemaker")
    name = create(rehearsal, TEMPLATE)
    client.get_waiter("stack_create_complete").wait(StackName=name)
    endpoint = stack(rehearsal, name)["Outputs"][0]["OutputValue"]
    assert endpoint == f"{name}-endpoint"
    assert rehearsal.invoke(endpoint)["Body"].read()
    alarms = rehearsal.client("cloudwatch").describe_alarms(AlarmNames=[f"{name}-alarm"])
    assert alarms["MetricAlarms"][0]["Dimensions"][0]["Value"] == endpoint
    sagemaker.describe_model_package_group(ModelPackageGroupName=f"{name}-group")

    client.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=parameters(7),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert stack(rehearsal, name)["StackStatus"] == "UPDATE_COMPLETE"
    assert concurrency(rehearsal, endpoint) == 7
    assert rehearsal.invoke(endpoint)["Body"].read()

    client.delete_stack(StackName=name)
    client.get_waiter("stack_delete_complete").wait(StackName=name)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName=endpoint)
    for kind, summaries in (("models", "Models"), ("endpoint_configs", "EndpointConfigs")):
        found = getattr(sagemaker, f"list_{kind}")()[summaries]
        assert not [each for each in found if name in str(each)]
    assert not rehearsal.client("cloudwatch").describe_alarms(AlarmNames=[f"{name}-alarm"])[
        "MetricAlarms"
    ]


def test_a_change_set_as_the_cli_deploys(rehearsal: Rehearsal) -> None:
    """`aws cloudformation deploy` makes a change set and executes it."""
    client, name = rehearsal.client("cloudformation"), rehearsal.name("stack")
    for kind, most in (("CREATE", 5), ("UPDATE", 6)):
        client.create_change_set(
            StackName=name,
            ChangeSetName=kind,
            ChangeSetType=kind,
            TemplateBody=json.dumps(TEMPLATE),
            Parameters=parameters(most),
            Capabilities=["CAPABILITY_IAM"],
        )
        client.execute_change_set(StackName=name, ChangeSetName=kind)
        found = stack(rehearsal, name)
        assert found["StackStatus"] == f"{kind}_COMPLETE"
        assert concurrency(rehearsal, found["Outputs"][0]["OutputValue"]) == most
    client.delete_stack(StackName=name)
    assert name not in str(rehearsal.client("sagemaker").list_endpoint_configs())


LOG: dict[str, Any] = {
    "Description": "A log",
    "Resources": {
        "Log": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": {"Fn::Sub": "/${AWS::StackName}"},
                "RetentionInDays": 7,
            },
        }
    },
}


def with_log(**properties: Any) -> str:
    """Return the template of a log, with other properties."""
    changed = copy.deepcopy(LOG)
    changed["Resources"]["Log"]["Properties"] |= properties
    return json.dumps(changed)


def test_change_sets_of_two_stacks_may_have_one_name(rehearsal: Rehearsal) -> None:
    """The AWS CDK gives all of them the same, and deletes what is left of the last deployment."""
    client, change = rehearsal.client("cloudformation"), "cdk-deploy-change-set"
    given = [
        {"StackName": rehearsal.name(kind), "ChangeSetName": change} for kind in ("one", "two")
    ]
    for each in given:
        client.create_change_set(**each, ChangeSetType="CREATE", TemplateBody=json.dumps(LOG))
    for each in given:
        assert client.describe_change_set(**each)["StackName"] == each["StackName"]
        client.execute_change_set(**each)
        found = stack(rehearsal, each["StackName"])
        assert (found["StackStatus"], found["Description"]) == ("CREATE_COMPLETE", "A log")
        for _ in range(2):
            client.delete_change_set(**each)
        for call in (client.describe_change_set, client.execute_change_set):
            with pytest.raises(client.exceptions.ChangeSetNotFoundException, match="not exist"):
                call(**each)
        client.delete_stack(StackName=each["StackName"])


def test_a_template_may_lie_in_s3(rehearsal: Rehearsal) -> None:
    """Where the AWS CDK puts it in an account that is bootstrapped, under the endpoint's URL."""
    client, name = rehearsal.client("cloudformation"), rehearsal.name("stack")
    bucket, key = (
        rehearsal.put("log.json", json.dumps(LOG).encode()).removeprefix("s3://").split("/")
    )
    for host in (rehearsal.url, "https://s3.us-east-1.amazonaws.com"):
        client.create_stack(StackName=name, TemplateURL=f"{host}/{bucket}/{key}")
        assert stack(rehearsal, name)["StackStatus"] == "CREATE_COMPLETE"
        client.delete_stack(StackName=name)


def test_a_log_group_keeps_lines_as_long_as_an_update_says_and_goes_with_its_stack(
    rehearsal: Rehearsal,
) -> None:
    client, name = rehearsal.client("cloudformation"), rehearsal.name("stack")

    def days() -> list[int]:
        found = rehearsal.client("logs").describe_log_groups(logGroupNamePrefix=f"/{name}")
        return [each["retentionInDays"] for each in found["logGroups"]]

    client.create_stack(StackName=name, TemplateBody=with_log())
    assert days() == [7]
    client.update_stack(StackName=name, TemplateBody=with_log(RetentionInDays=30))
    assert days() == [30]
    client.update_stack(StackName=name, TemplateBody=with_log(LogGroupName="/other"))
    found = stack(rehearsal, name)
    assert found["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "another name" in found["StackStatusReason"]
    assert days() == [30]
    client.delete_stack(StackName=name)
    assert days() == []


def test_a_stack_that_fails_is_rolled_back_and_says_why(rehearsal: Rehearsal) -> None:
    broken = copy.deepcopy(TEMPLATE)
    containers = broken["Resources"]["Model"]["Properties"]["Containers"]
    containers[0]["ModelDataUrl"] = "s3://models/nothing.tar.gz"
    name = create(rehearsal, broken)
    found = stack(rehearsal, name)
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Could not find model data" in found["StackStatusReason"]
    with pytest.raises(ClientError, match="does not exist"):
        rehearsal.client("sagemaker").describe_model_package_group(
            ModelPackageGroupName=f"{name}-group"
        )


def test_an_endpoint_that_fails_is_deleted_with_its_stack(rehearsal: Rehearsal) -> None:
    broken = copy.deepcopy(TEMPLATE)
    containers = broken["Resources"]["Model"]["Properties"]["Containers"]
    containers[0]["ModelDataUrl"] = rehearsal.put("broken.tar.gz", b"no archive")
    name = create(rehearsal, broken)
    found = stack(rehearsal, name)
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "broken.tar.gz is not a whole .tar.gz" in found["StackStatusReason"]
    with pytest.raises(ClientError, match="Could not find endpoint"):
        rehearsal.status(f"{name}-endpoint")
    client = rehearsal.client("cloudformation")
    assert "AWS::IAM::Role" in client.get_template_summary(StackName=name)["ResourceTypes"]
    client.delete_stack(StackName=name)


def test_a_template_may_give_numbers_and_leave_things_out(rehearsal: Rehearsal) -> None:
    template = copy.deepcopy(TEMPLATE)
    container = template["Resources"]["Model"]["Properties"]["Containers"][0]
    container["Environment"] = {"MEMORY_SIZE_IN_MB": {"Ref": "Memory"}}
    role = template["Resources"]["Role"]["Properties"]
    role["ManagedPolicyArns"] = [{"Ref": "AWS::NoValue"}]
    name = create(rehearsal, template)
    assert stack(rehearsal, name)["StackStatus"] == "CREATE_COMPLETE"
    assert rehearsal.invoke(f"{name}-endpoint")["Body"].read()
    rehearsal.client("cloudformation").delete_stack(StackName=name)


def test_an_update_that_fails_leaves_the_stack_as_it_was(rehearsal: Rehearsal) -> None:
    client, name = rehearsal.client("cloudformation"), create(rehearsal, TEMPLATE)
    endpoint = f"{name}-endpoint"

    def update(memory: str, image: str = IMAGE) -> dict[str, Any]:
        template = copy.deepcopy(TEMPLATE)
        template["Resources"]["Model"]["Properties"]["Containers"][0] |= {
            "Image": image,
            "Environment": {"MODEL_LOAD": "never" if image == "broken" else "background"},
        }
        client.update_stack(
            StackName=name,
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": "Memory", "ParameterValue": memory}],
            Capabilities=["CAPABILITY_IAM"],
        )
        return stack(rehearsal, name)

    before = stack(rehearsal, name)["Outputs"]
    for memory, image, reason in (
        ("1000", IMAGE, "enum value set"),
        ("2048", "broken", "did not pass the ping health check"),
    ):
        found = update(memory, image)
        assert found["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert reason in found["StackStatusReason"]
        assert found["Outputs"] == before
        assert rehearsal.invoke(endpoint)["Body"].read()
        serving = rehearsal.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        config = rehearsal.client("sagemaker").describe_endpoint_config(
            EndpointConfigName=serving["EndpointConfigName"]
        )
        assert config["ProductionVariants"][0]["ServerlessConfig"]["MemorySizeInMB"] == 1024
    found = update("2048")
    assert (found["StackStatus"], found.get("StackStatusReason")) == ("UPDATE_COMPLETE", None)
    assert rehearsal.invoke(endpoint)["Body"].read()
    client.delete_stack(StackName=name)
    for kind in ("list_models", "list_endpoint_configs"):
        assert name not in str(getattr(rehearsal.client("sagemaker"), kind)())


def test_an_arn_where_a_name_is_wanted_fails_as_on_aws(rehearsal: Rehearsal) -> None:
    """Ref of these resources is an ARN."""
    wrong = copy.deepcopy(TEMPLATE)
    wrong["Resources"]["Endpoint"]["Properties"]["EndpointConfigName"] = {"Ref": "Config"}
    name = create(rehearsal, wrong)
    assert stack(rehearsal, name)["StackStatus"] == "ROLLBACK_COMPLETE"


def test_a_config_with_a_name_of_its_own_cannot_be_replaced(rehearsal: Rehearsal) -> None:
    named, client = copy.deepcopy(TEMPLATE), rehearsal.client("cloudformation")
    config = named["Resources"]["Config"]["Properties"]
    config["EndpointConfigName"] = {"Fn::Sub": "${AWS::StackName}-config"}
    name = create(rehearsal, named)
    client.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=parameters(9),
        Capabilities=["CAPABILITY_IAM"],
    )
    found = stack(rehearsal, name)
    assert found["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    serving = rehearsal.client("sagemaker").describe_endpoint(EndpointName=f"{name}-endpoint")
    rehearsal.client("sagemaker").describe_endpoint_config(
        EndpointConfigName=serving["EndpointConfigName"]
    )
    assert "custom-named resource requires replacing" in found["StackStatusReason"]
    assert concurrency(rehearsal, f"{name}-endpoint") == 3
    client.delete_stack(StackName=name)


def parameterised(*names: str) -> dict[str, Any]:
    """Return a template with a package group that is described by these parameters."""
    text = " ".join(f"${{{name}}}" for name in names) or "none"
    return {
        "Parameters": {name: {"Type": "String"} for name in names},
        "Resources": {
            "Group": {
                "Type": "AWS::SageMaker::ModelPackageGroup",
                "Properties": {
                    "ModelPackageGroupName": {"Fn::Sub": "${AWS::StackName}-group"},
                    "ModelPackageGroupDescription": {"Fn::Sub": text},
                },
            }
        },
    }


def given(*names: str) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": "value"} for name in names]


def group(properties: dict[str, Any], kind: str = "ModelPackageGroup", **more: Any) -> Any:
    return {"Type": f"AWS::SageMaker::{kind}", "Properties": properties, **more}


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{", "Template format error"),
        ("just text", "Template format error: unsupported structure"),
        ({"Outputs": {}}, "At least one Resources member must be defined"),
        ({"Resources": {"G": {}}}, "Every Resources object must contain a Type member"),
        (
            {"Resources": {"G": {"Type": "Group"}}},
            r"Unrecognized resource types: \[Group\]",
        ),
        (
            {"Resources": {"G": group({"ModelPackageGroupName": {"Ref": "Nobody"}})}},
            r"Unresolved resource dependencies \[Nobody\] in the Resources block",
        ),
        (
            {"Resources": {"G": group({"ModelPackageGroupName": {"Fn::Sub": "${No.Arn}-a"}})}},
            r"Unresolved resource dependencies \[No\] in the Resources block",
        ),
        (
            {"Resources": {"G": group({})}, "Outputs": {"O": {"Value": {"Ref": "Nobody"}}}},
            r"Unresolved resource dependencies \[Nobody\] in the Outputs block",
        ),
        (
            {"Resources": {"A": group({}, DependsOn="B"), "B": group({}, DependsOn=["A"])}},
            r"Circular dependency between resources: \[A, B\]",
        ),
        (parameterised("Text", "More"), r"Parameters: \[Text, More\] must have values"),
    ],
)
def test_a_template_that_cannot_be_used_fails_the_call(
    rehearsal: Rehearsal, template: Any, says: str
) -> None:
    client, name = rehearsal.client("cloudformation"), rehearsal.name("refused")
    body = template if isinstance(template, str) else json.dumps(template)
    change = {"ChangeSetName": "c", "ChangeSetType": "CREATE"}
    for call, more in (("create_stack", {}), ("create_change_set", change)):
        with pytest.raises(ClientError, match=says) as caught:
            getattr(client, call)(StackName=name, TemplateBody=body, **more)
        assert caught.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_stacks(StackName=name)


@pytest.mark.parametrize("name", ["my_stack", "1st", "s" * 129])
def test_a_name_that_cannot_be_used_fails_the_call(rehearsal: Rehearsal, name: str) -> None:
    client = rehearsal.client("cloudformation")
    body = json.dumps({"Resources": {"G": group({"ModelPackageGroupName": "g"})}})
    change = {"ChangeSetName": "c", "ChangeSetType": "CREATE"}
    for call, more in (("create_stack", {}), ("create_change_set", change)):
        with pytest.raises(ClientError, match="'stackName' failed to satisfy constraint"):
            getattr(client, call)(StackName=name, TemplateBody=body, **more)


def test_an_update_that_forgets_a_parameter_fails_the_call_and_no_later_one(
    rehearsal: Rehearsal,
) -> None:
    client, name = rehearsal.client("cloudformation"), rehearsal.name("stack")
    client.create_stack(
        StackName=name,
        TemplateBody=json.dumps(parameterised("Text", "More")),
        Parameters=given("Text", "More"),
    )

    def update(*names: str, parameters: list[dict[str, Any]]) -> str:
        client.update_stack(
            StackName=name,
            TemplateBody=json.dumps(parameterised(*names)),
            Parameters=parameters,
        )
        return str(stack(rehearsal, name)["StackStatus"])

    with pytest.raises(ClientError, match=r"Parameters: \[More\] must have values"):
        update("Text", "More", parameters=given("Text"))
    with pytest.raises(ClientError, match=r"\[Other\] do not exist in the template"):
        update("Text", "More", parameters=given("Text", "More", "Other"))
    assert stack(rehearsal, name)["StackStatus"] == "CREATE_COMPLETE"
    previous = {"ParameterKey": "Text", "UsePreviousValue": True}
    assert update("Text", "Third", parameters=[previous, *given("Third")]) == "UPDATE_COMPLETE"
    assert update("Text", parameters=[previous]) == "UPDATE_COMPLETE"
    assert update(parameters=[]) == "UPDATE_COMPLETE"
    assert stack(rehearsal, name).get("Parameters", []) == []
    client.delete_stack(StackName=name)


def test_a_value_that_is_not_allowed_fails_the_call(rehearsal: Rehearsal) -> None:
    template = parameterised("Size")
    template["Parameters"]["Size"]["AllowedValues"] = ["small", "large"]
    with pytest.raises(ClientError, match="'Size' must be one of AllowedValues"):
        rehearsal.client("cloudformation").create_stack(
            StackName="sizes", TemplateBody=json.dumps(template), Parameters=given("Size")
        )
