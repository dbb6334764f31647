"""What the control plane takes and refuses, and the states of an endpoint."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.rehearse.desk import IMAGE, ROLE, Rehearsal, archive, eventually

ONE_LOOK = {"MaxAttempts": 1}


@pytest.fixture(scope="module")
def model(desk: Rehearsal) -> str:
    return desk.model()


@pytest.mark.parametrize(
    ("serverless", "says"),
    [
        ({"MemorySizeInMB": 1024, "MaxConcurrency": 201}, "less than or equal to 200"),
        ({"MemorySizeInMB": 1500, "MaxConcurrency": 1}, "enum value set"),
        (
            {"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 3},
            "ProvisionedConcurrency 3",
        ),
    ],
)
def test_a_serverless_config_out_of_bounds_is_refused(
    desk: Rehearsal, model: str, serverless: dict[str, int], says: str
) -> None:
    with pytest.raises(ClientError, match=says) as caught:
        desk.config(model, serverless)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_serverless_endpoint_has_one_variant_and_no_instance(desk: Rehearsal, model: str) -> None:
    client = desk.client("sagemaker")
    variant = {
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    with pytest.raises(ClientError, match="Multiple variants are not supported"):
        client.create_endpoint_config(
            EndpointConfigName="two",
            ProductionVariants=[{**variant, "VariantName": "a"}, {**variant, "VariantName": "b"}],
        )
    with pytest.raises(ClientError, match="InstanceType cannot be used"):
        client.create_endpoint_config(
            EndpointConfigName="both",
            ProductionVariants=[{**variant, "VariantName": "a", "InstanceType": "ml.m5.large"}],
        )
    with pytest.raises(ClientError, match="DataCaptureConfig is not supported"):
        client.create_endpoint_config(
            EndpointConfigName="captured",
            ProductionVariants=[{**variant, "VariantName": "a"}],
            DataCaptureConfig={
                "InitialSamplingPercentage": 1,
                "DestinationS3Uri": "s3://models/captured",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            },
        )
    network = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    excluded: list[dict[str, Any]] = [
        {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://models/out"}}},
        {"VpcConfig": network},
        {"EnableNetworkIsolation": True},
    ]
    for each in excluded:
        with pytest.raises(ClientError, match=f"{min(each)} is not supported"):
            client.create_endpoint_config(
                EndpointConfigName="excluded",
                ProductionVariants=[{**variant, "VariantName": "a"}],
                **each,
            )
    for each in excluded[1:]:
        name = desk.name("excluded")
        client.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE}, **each
        )
        with pytest.raises(ClientError, match=f"{min(each)} is not supported"):
            client.create_endpoint_config(
                EndpointConfigName="excluded",
                ProductionVariants=[{**variant, "VariantName": "a", "ModelName": name}],
            )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "is no JSON"),
        (b"{}", 'Missing required parameter in input: "EndpointConfigName"'),
        (
            json.dumps(
                {
                    "EndpointConfigName": "c",
                    "ProductionVariants": [
                        {"VariantName": "a", "ModelName": "m", "ServerlessConfig": {}}
                    ],
                }
            ).encode(),
            'parameter in ProductionVariants[0].ServerlessConfig: "MaxConcurrency"',
        ),
        (b'{"EndpointConfigName": "c", "ProductionVariants": []}', "valid min length: 1"),
    ],
)
def test_what_the_service_model_does_not_have_is_told(
    desk: Rehearsal, body: bytes, says: str
) -> None:
    """Of clients that do not check it themselves."""
    with closing(HTTPConnection(desk.url.removeprefix("http://"))) as connection:
        target = {"X-Amz-Target": "SageMaker.CreateEndpointConfig"}
        signed = "AWS4-HMAC-SHA256 Credential=KEY/20300101/us-east-1/sagemaker/aws4_request"
        connection.request(
            "POST",
            "/",
            body,
            {**target, "Authorization": signed, "Content-Type": "application/x-amz-json-1.1"},
        )
        with connection.getresponse() as answer:
            found = json.loads(answer.read())
            assert (answer.status, found["__type"]) == (400, "ValidationException")
        assert says in found["Message"]


def test_what_is_not_there_is_named_by_its_arn(desk: Rehearsal, model: str) -> None:
    client = desk.client("sagemaker")
    with pytest.raises(ClientError, match=r'Could not find endpoint "arn:aws:sagemaker:.*/no"'):
        client.describe_endpoint(EndpointName="no")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        client.create_endpoint(EndpointName="e", EndpointConfigName="no")
    with pytest.raises(ClientError, match="Could not find model"):
        desk.config("no")
    with pytest.raises(ClientError, match=r"Could not find model data at s3://models/no\.tar\.gz"):
        desk.model(ModelDataUrl="s3://models/no.tar.gz")
    with pytest.raises(ClientError, match="regular expression pattern"):
        client.create_endpoint(EndpointName="-no", EndpointConfigName=desk.config(model))


def test_names_are_taken_once(desk: Rehearsal, model: str) -> None:
    client, config = desk.client("sagemaker"), desk.config(model)
    endpoint = desk.endpoint(config)
    with pytest.raises(ClientError, match="Cannot create already existing endpoint "):
        client.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    with pytest.raises(ClientError, match="Cannot create already existing model "):
        client.create_model(
            ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE}
        )


def package(desk: Rehearsal, status: str, group: str | None = None) -> str:
    client = desk.client("sagemaker")
    if group is None:
        group = desk.name("group")
        client.create_model_package_group(ModelPackageGroupName=group)
    found = client.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus=status,
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "Environment": {"LOG_LEVEL": "warning"}}],
            "SupportedContentTypes": ["application/jsonlines"],
            "SupportedResponseMIMETypes": ["application/jsonlines"],
        },
    )
    return str(found["ModelPackageArn"])


def test_a_model_package_must_exist_and_be_approved(desk: Rehearsal) -> None:
    client, arn = desk.client("sagemaker"), package(desk, "PendingManualApproval")

    def create(arn: str) -> None:
        client.create_model(
            ModelName=desk.name("m"), ExecutionRoleArn=ROLE, Containers=[{"ModelPackageName": arn}]
        )

    with pytest.raises(ClientError, match="must be Approved"):
        create(arn)
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    create(arn)
    with pytest.raises(ClientError, match="not found"):
        create(arn.replace("/1", "/9"))


def test_packages_and_empty_groups_can_be_deleted(desk: Rehearsal) -> None:
    client, arn = desk.client("sagemaker"), package(desk, "Approved")
    group = arn.split("/")[1]
    with pytest.raises(ClientError, match="still has model packages"):
        client.delete_model_package_group(ModelPackageGroupName=group)
    client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_model_package_group(ModelPackageGroupName=group)


def test_versions_count_on_after_a_deletion(desk: Rehearsal) -> None:
    first = package(desk, "Approved")
    group = first.split("/")[1]
    second = package(desk, "Approved", group)
    desk.client("sagemaker").delete_model_package(ModelPackageName=first)
    third = package(desk, "Approved", group)
    assert [second[-2:], third[-2:]] == ["/2", "/3"]


def test_an_endpoint_goes_through_its_states(desk: Rehearsal, checkpoint: Path) -> None:
    client, data = desk.client("sagemaker"), desk.put("slow.tar.gz", archive(checkpoint))

    def state() -> str:
        return str(client.describe_endpoint(EndpointName=name)["EndpointStatus"])

    # Its port opens when torch has loaded it: seconds, in which the endpoint is made.
    config = desk.config(desk.model(ModelDataUrl=data, Environment={"MODEL_LOAD": "eager"}))
    name = desk.name("states")
    client.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert state() == "Creating"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        client.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="not found"):
        desk.invoke(name)
    # Who waits is answered when it is over, and need not look twice.
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=ONE_LOOK)
    assert state() == "InService"
    client.update_endpoint(EndpointName=name, EndpointConfigName=desk.config(desk.model()))
    assert state() == "Updating"
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=ONE_LOOK)
    client.delete_endpoint(EndpointName=name)
    client.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=ONE_LOOK)


def test_a_broken_model_fails_the_endpoint_with_a_reason(desk: Rehearsal) -> None:
    client, name = desk.client("sagemaker"), desk.name("broken")
    config = desk.config(desk.model(ModelDataUrl=desk.put("broken.tar.gz", b"no archive")))
    client.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert desk.status(name) == "Failed"
    found = client.describe_endpoint(EndpointName=name)
    assert "broken.tar.gz is not a whole .tar.gz" in found["FailureReason"]
    client.delete_endpoint(EndpointName=name)
    client.get_waiter("endpoint_deleted").wait(EndpointName=name)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        client.describe_endpoint(EndpointName=name)


def test_a_container_that_does_not_start_fails_the_endpoint(desk: Rehearsal) -> None:
    name = desk.name("silent")
    config = desk.config(desk.model(Environment={"MODEL_LOAD": "never"}))
    desk.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert desk.status(name) == "Failed"
    reason = desk.client("sagemaker").describe_endpoint(EndpointName=name)["FailureReason"]
    assert "did not pass the ping health check" in reason


def test_an_update_loses_nothing_and_shows_the_new_config(desk: Rehearsal, model: str) -> None:
    client, endpoint = desk.client("sagemaker"), desk.endpoint(desk.config(model))
    larger = desk.config(model, {"MemorySizeInMB": 2048, "MaxConcurrency": 7})
    client.update_endpoint(EndpointName=endpoint, EndpointConfigName=larger)
    while desk.invoke(endpoint)["Body"].read():
        found = client.describe_endpoint(EndpointName=endpoint)
        if found["EndpointStatus"] == "InService":
            break
    assert found["EndpointConfigName"] == larger
    assert found["ProductionVariants"][0]["CurrentServerlessConfig"]["MaxConcurrency"] == 7


def test_an_update_that_fails_leaves_what_served(desk: Rehearsal, model: str) -> None:
    endpoint = desk.endpoint(desk.config(model))
    broken = desk.config(desk.model(ModelDataUrl=desk.put("cut.tar.gz", b"\x1f\x8b cut")))
    desk.client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName=broken)
    assert desk.status(endpoint) == "InService"
    found = desk.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    assert "cut.tar.gz" in found["FailureReason"]
    assert desk.invoke(endpoint)["Body"].read()


def test_serverless_becomes_real_time_and_never_the_other_way(desk: Rehearsal, model: str) -> None:
    client, serverless = desk.client("sagemaker"), desk.config(model)
    endpoint = desk.endpoint(serverless)
    instances: dict[str, Any] = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    same = desk.config(model, **instances)
    with pytest.raises(ClientError, match="must have a different name"):
        client.update_endpoint(EndpointName=endpoint, EndpointConfigName=same)
    other = desk.config(model, VariantName="RealTime", **instances)
    client.update_endpoint(EndpointName=endpoint, EndpointConfigName=other)
    assert desk.status(endpoint) == "InService"
    assert desk.invoke(endpoint)["InvokedProductionVariant"] == "RealTime"
    with pytest.raises(ClientError, match="cannot be updated to a serverless endpoint"):
        client.update_endpoint(EndpointName=endpoint, EndpointConfigName=serverless)


def test_one_of_two_endpoints_of_the_same_name_is_made(desk: Rehearsal, model: str) -> None:
    client, config, name = desk.client("sagemaker"), desk.config(model), desk.name("twice")

    def create(_: int) -> str:
        try:
            client.create_endpoint(EndpointName=name, EndpointConfigName=config)
        except ClientError as error:
            return str(error.response["Error"]["Message"])
        return ""

    with ThreadPoolExecutor(8) as threads:
        said = sorted(threads.map(create, range(8)))
    assert said[0] == ""
    assert all(each.startswith("Cannot create already existing endpoint") for each in said[1:])
    assert desk.status(name) == "InService"


def test_the_move_to_real_time_loses_no_call(desk: Rehearsal, model: str) -> None:
    client, endpoint = desk.client("sagemaker"), desk.endpoint(desk.config(model))
    moved = threading.Event()
    variants: list[set[str]] = [set(), set()]

    def keep_asking(found: set[str]) -> None:
        while not moved.is_set():
            found.add(desk.invoke(endpoint)["InvokedProductionVariant"])

    with ThreadPoolExecutor(2) as threads:
        askers = [threads.submit(keep_asking, found) for found in variants]
        assert eventually(lambda: all(variants))
        instance = desk.config(
            model, VariantName="RealTime", InstanceType="ml.m5.large", InitialInstanceCount=1
        )
        client.update_endpoint(EndpointName=endpoint, EndpointConfigName=instance)
        assert desk.status(endpoint) == "InService"
        assert eventually(lambda: all(found == {"AllTraffic", "RealTime"} for found in variants))
        moved.set()
        for asker in askers:
            asker.result(60)


def test_concurrency_is_updated_in_place(desk: Rehearsal, model: str) -> None:
    client, endpoint = desk.client("sagemaker"), desk.endpoint(desk.config(model))

    def resize(most: int, provisioned: int) -> None:
        wish = {"MaxConcurrency": most, "ProvisionedConcurrency": provisioned}
        client.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "ServerlessUpdateConfig": wish}
            ],
        )

    resize(4, 1)
    assert desk.status(endpoint) == "InService"
    found = client.describe_endpoint(EndpointName=endpoint)["ProductionVariants"][0]
    assert found["CurrentServerlessConfig"] == {
        "MemorySizeInMB": 1024,
        "MaxConcurrency": 4,
        "ProvisionedConcurrency": 1,
    }
    with pytest.raises(ClientError, match="ProvisionedConcurrency 5"):
        resize(4, 5)


def test_provisioned_concurrency_can_be_a_scalable_target(desk: Rehearsal, model: str) -> None:
    provisioned = {"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 1}
    endpoint = desk.endpoint(desk.config(model, provisioned))
    scaling = desk.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    metric = "SageMakerVariantProvisionedConcurrencyUtilization"
    scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 0.7,
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
        },
    )
    found = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert [each["PolicyName"] for each in found] == ["track"]
    with pytest.raises(ClientError, match="No variant with provisioned concurrency"):
        scaling.register_scalable_target(
            **{**target, "ResourceId": "endpoint/no/variant/AllTraffic"},
            MinCapacity=1,
            MaxCapacity=2,
        )


def test_everything_can_be_deleted(desk: Rehearsal) -> None:
    client, model = desk.client("sagemaker"), desk.model()
    config = desk.config(model)
    endpoint = desk.endpoint(config)
    client.delete_endpoint(EndpointName=endpoint)
    client.get_waiter("endpoint_deleted").wait(EndpointName=endpoint)
    client.delete_endpoint_config(EndpointConfigName=config)
    client.delete_model(ModelName=model)
    with pytest.raises(ClientError, match="not found"):
        desk.invoke(endpoint)
