"""Stacks: from a template to an answer, an update, a failure and nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rehearse.desk import IMAGE, Rehearsal

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


def stack(desk: Rehearsal, name: str) -> dict[str, Any]:
    return dict(desk.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0])


def create(desk: Rehearsal, template: dict[str, Any]) -> str:
    name = desk.name("stack")
    desk.client("cloudformation").create_stack(
        StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    return name


def concurrency(desk: Rehearsal, endpoint: str) -> int:
    found = desk.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    return int(found["ProductionVariants"][0]["CurrentServerlessConfig"]["MaxConcurrency"])


def parameters(most: int) -> list[dict[str, str]]:
    return [
        {"ParameterKey": "Memory", "ParameterValue": "2048"},
        {"ParameterKey": "Most", "ParameterValue": str(most)},
    ]


def test_a_stack_from_nothing_to_an_answer_to_nothing(desk: Rehearsal) -> None:
    client, sagemaker = desk.client("cloudformation"), desk.client("sagemaker")
    name = create(desk, TEMPLATE)
    client.get_waiter("stack_create_complete").wait(StackName=name)
    endpoint = stack(desk, name)["Outputs"][0]["OutputValue"]
    assert endpoint == f"{name}-endpoint"
    assert desk.invoke(endpoint)["Body"].read()
    alarms = desk.client("cloudwatch").describe_alarms(AlarmNames=[f"{name}-alarm"])
    assert alarms["MetricAlarms"][0]["Dimensions"][0]["Value"] == endpoint
    sagemaker.describe_model_package_group(ModelPackageGroupName=f"{name}-group")

    client.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=parameters(7),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert stack(desk, name)["StackStatus"] == "UPDATE_COMPLETE"
    assert concurrency(desk, endpoint) == 7
    assert desk.invoke(endpoint)["Body"].read()

    client.delete_stack(StackName=name)
    client.get_waiter("stack_delete_complete").wait(StackName=name)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName=endpoint)
    for kind, summaries in (("models", "Models"), ("endpoint_configs", "EndpointConfigs")):
        found = getattr(sagemaker, f"list_{kind}")()[summaries]
        assert not [each for each in found if name in str(each)]
    assert not desk.client("cloudwatch").describe_alarms(AlarmNames=[f"{name}-alarm"])[
        "MetricAlarms"
    ]


def test_a_change_set_as_the_cli_deploys(desk: Rehearsal) -> None:
    """`aws cloudformation deploy` makes a change set and executes it."""
    client, name = desk.client("cloudformation"), desk.name("stack")
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
        found = stack(desk, name)
        assert found["StackStatus"] == f"{kind}_COMPLETE"
        assert concurrency(desk, found["Outputs"][0]["OutputValue"]) == most
    client.delete_stack(StackName=name)
    assert name not in str(desk.client("sagemaker").list_endpoint_configs())


def test_a_stack_that_fails_is_rolled_back_and_says_why(desk: Rehearsal) -> None:
    broken = copy.deepcopy(TEMPLATE)
    containers = broken["Resources"]["Model"]["Properties"]["Containers"]
    containers[0]["ModelDataUrl"] = "s3://models/nothing.tar.gz"
    name = create(desk, broken)
    found = stack(desk, name)
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Could not find model data" in found["StackStatusReason"]
    with pytest.raises(ClientError, match="does not exist"):
        desk.client("sagemaker").describe_model_package_group(ModelPackageGroupName=f"{name}-group")


def test_an_endpoint_that_fails_is_deleted_with_its_stack(desk: Rehearsal) -> None:
    broken = copy.deepcopy(TEMPLATE)
    containers = broken["Resources"]["Model"]["Properties"]["Containers"]
    containers[0]["ModelDataUrl"] = desk.put("broken.tar.gz", b"no archive")
    name = create(desk, broken)
    found = stack(desk, name)
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "broken.tar.gz is not a whole .tar.gz" in found["StackStatusReason"]
    with pytest.raises(ClientError, match="Could not find endpoint"):
        desk.status(f"{name}-endpoint")
    client = desk.client("cloudformation")
    assert "AWS::IAM::Role" in client.get_template_summary(StackName=name)["ResourceTypes"]
    client.delete_stack(StackName=name)


def test_a_template_may_give_numbers_and_leave_things_out(desk: Rehearsal) -> None:
    template = copy.deepcopy(TEMPLATE)
    container = template["Resources"]["Model"]["Properties"]["Containers"][0]
    container["Environment"] = {"MEMORY_SIZE_IN_MB": {"Ref": "Memory"}}
    role = template["Resources"]["Role"]["Properties"]
    role["ManagedPolicyArns"] = [{"Ref": "AWS::NoValue"}]
    name = create(desk, template)
    assert stack(desk, name)["StackStatus"] == "CREATE_COMPLETE"
    assert desk.invoke(f"{name}-endpoint")["Body"].read()
    desk.client("cloudformation").delete_stack(StackName=name)


def test_an_update_that_fails_leaves_the_stack_as_it_was(desk: Rehearsal) -> None:
    client, name = desk.client("cloudformation"), create(desk, TEMPLATE)
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
        return stack(desk, name)

    before = stack(desk, name)["Outputs"]
    for memory, image, reason in (
        ("1000", IMAGE, "enum value set"),
        ("2048", "broken", "did not pass the ping health check"),
    ):
        found = update(memory, image)
        assert found["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert reason in found["StackStatusReason"]
        assert found["Outputs"] == before
        assert desk.invoke(endpoint)["Body"].read()
        serving = desk.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        config = desk.client("sagemaker").describe_endpoint_config(
            EndpointConfigName=serving["EndpointConfigName"]
        )
        assert config["ProductionVariants"][0]["ServerlessConfig"]["MemorySizeInMB"] == 1024
    found = update("2048")
    assert (found["StackStatus"], found.get("StackStatusReason")) == ("UPDATE_COMPLETE", None)
    assert desk.invoke(endpoint)["Body"].read()
    client.delete_stack(StackName=name)
    for kind in ("list_models", "list_endpoint_configs"):
        assert name not in str(getattr(desk.client("sagemaker"), kind)())


def test_an_arn_where_a_name_is_wanted_fails_as_on_aws(desk: Rehearsal) -> None:
    """Ref of these resources is an ARN."""
    wrong = copy.deepcopy(TEMPLATE)
    wrong["Resources"]["Endpoint"]["Properties"]["EndpointConfigName"] = {"Ref": "Config"}
    name = create(desk, wrong)
    assert stack(desk, name)["StackStatus"] == "ROLLBACK_COMPLETE"


def test_a_config_with_a_name_of_its_own_cannot_be_replaced(desk: Rehearsal) -> None:
    named, client = copy.deepcopy(TEMPLATE), desk.client("cloudformation")
    config = named["Resources"]["Config"]["Properties"]
    config["EndpointConfigName"] = {"Fn::Sub": "${AWS::StackName}-config"}
    name = create(desk, named)
    client.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=parameters(9),
        Capabilities=["CAPABILITY_IAM"],
    )
    found = stack(desk, name)
    assert found["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    serving = desk.client("sagemaker").describe_endpoint(EndpointName=f"{name}-endpoint")
    desk.client("sagemaker").describe_endpoint_config(
        EndpointConfigName=serving["EndpointConfigName"]
    )
    assert "custom-named resource requires replacing" in found["StackStatusReason"]
    assert concurrency(desk, f"{name}-endpoint") == 3
    client.delete_stack(StackName=name)
