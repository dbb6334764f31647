"""The control plane takes and refuses what AWS does; an endpoint goes through its states."""

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

from tests.conftest import BUNDLED
from tests.rehearse.rehearsal import IMAGE, ROLE, Rehearsal, archive
from tests.rehearse.waiting import eventually

ONE_LOOK = {"MaxAttempts": 1}


@pytest.fixture(scope="module")
def model(rehearsal: Rehearsal) -> str:
    return rehearsal.model()


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
    rehearsal: Rehearsal, model: str, serverless: dict[str, int], says: str
) -> None:
    with pytest.raises(ClientError, match=says) as caught:
        rehearsal.config(model, serverless)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_serverless_endpoint_has_one_variant_and_no_instance(
    rehearsal: Rehearsal, model: str
) -> None:
    client = rehearsal.client("sagemaker")
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
        name = rehearsal.name("excluded")
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
    rehearsal: Rehearsal, body: bytes, says: str
) -> None:
    """Clients that do not check it themselves send it."""
    with closing(HTTPConnection(rehearsal.url.removeprefix("http://"))) as connection:
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


def test_what_is_not_there_is_named_by_its_arn(rehearsal: Rehearsal, model: str) -> None:
    client = rehearsal.client("sagemaker")
    with pytest.raises(ClientError, match=r'Could not find endpoint "arn:aws:sagemaker:.*/no"'):
        client.describe_endpoint(EndpointName="no")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        client.create_endpoint(EndpointName="e", EndpointConfigName="no")
    with pytest.raises(ClientError, match="Could not find model"):
        rehearsal.config("no")
    with pytest.raises(ClientError, match=r"Could not find model data at s3://models/no\.tar\.gz"):
        rehearsal.model(ModelDataUrl="s3://models/no.tar.gz")
    with pytest.raises(ClientError, match="regular expression pattern"):
        client.create_endpoint(EndpointName="-no", EndpointConfigName=rehearsal.config(model))


def test_an_https_address_of_model_data_is_taken(rehearsal: Rehearsal) -> None:
    rehearsal.put("by-https.tar.gz", archive(BUNDLED))
    data = "https://models.s3.us-east-1.amazonaws.com/by-https.tar.gz"
    endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model(ModelDataUrl=data)))
    assert rehearsal.invoke(endpoint)["Body"].read()


def test_multi_model_containers_are_refused_as_such(rehearsal: Rehearsal) -> None:
    with pytest.raises(ClientError, match="Mode MultiModel is not imitated"):
        rehearsal.model(Mode="MultiModel", ModelDataUrl="s3://models/all/")


def test_models_are_listed_as_asked(rehearsal: Rehearsal) -> None:
    client = rehearsal.client("sagemaker")
    made = [f"listed-{name}" for name in "cab"]
    for name in made:
        client.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE}
        )

    def names(**asked: Any) -> list[str]:
        found = client.list_models(NameContains="listed-", **asked)
        return [each["ModelName"] for each in found["Models"]]

    assert names() == made[::-1]  # the newest first
    assert names(SortOrder="Ascending") == made
    assert names(SortBy="Name", SortOrder="Ascending") == sorted(made)
    pages = client.get_paginator("list_models").paginate(
        NameContains="listed-", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Models"]) for page in pages] == [2, 1]
    created = client.list_models(NameContains="listed-c")["Models"][0]["CreationTime"]
    assert "listed-c" in names(CreationTimeAfter=created)
    assert names(CreationTimeBefore=created) == []


def test_a_variant_is_described_with_its_weight_and_image(rehearsal: Rehearsal, model: str) -> None:
    endpoint = rehearsal.endpoint(rehearsal.config(model))
    found = rehearsal.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    (variant,) = found["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert [each["SpecifiedImage"] for each in variant["DeployedImages"]] == [IMAGE]


def test_names_are_taken_once(rehearsal: Rehearsal, model: str) -> None:
    client, config = rehearsal.client("sagemaker"), rehearsal.config(model)
    endpoint = rehearsal.endpoint(config)
    with pytest.raises(ClientError, match="Cannot create already existing endpoint "):
        client.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    with pytest.raises(ClientError, match="Cannot create already existing model "):
        client.create_model(
            ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE}
        )


def package(rehearsal: Rehearsal, status: str, group: str | None = None) -> str:
    client = rehearsal.client("sagemaker")
    if group is None:
        group = rehearsal.name("group")
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


def test_a_model_package_must_exist_and_be_approved(rehearsal: Rehearsal) -> None:
    client, arn = rehearsal.client("sagemaker"), package(rehearsal, "PendingManualApproval")

    def create(arn: str) -> None:
        client.create_model(
            ModelName=rehearsal.name("m"),
            ExecutionRoleArn=ROLE,
            Containers=[{"ModelPackageName": arn}],
        )

    with pytest.raises(ClientError, match="must be Approved"):
        create(arn)
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    create(arn)
    with pytest.raises(ClientError, match="not found"):
        create(arn.replace("/1", "/9"))


def test_packages_and_empty_groups_can_be_deleted(rehearsal: Rehearsal) -> None:
    client, arn = rehearsal.client("sagemaker"), package(rehearsal, "Approved")
    group = arn.split("/")[1]
    with pytest.raises(ClientError, match="still has model packages"):
        client.delete_model_package_group(ModelPackageGroupName=group)
    client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_model_package_group(ModelPackageGroupName=group)


def test_a_group_is_named_by_its_arn_too(rehearsal: Rehearsal) -> None:
    """As AWS's notebook of the model registry does."""
    client, name = rehearsal.client("sagemaker"), rehearsal.name("group")
    arn = client.create_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupArn"]
    versions = [package(rehearsal, "Approved", group) for group in (arn, name)]
    assert [each.rpartition("/")[2] for each in versions] == ["1", "2"]
    found = client.list_model_packages(ModelPackageGroupName=arn, ModelPackageType="Versioned")
    assert len(found["ModelPackageSummaryList"]) == 2
    for each in versions:
        client.delete_model_package(ModelPackageName=each)
    described = client.describe_model_package_group(ModelPackageGroupName=arn)
    assert described["ModelPackageGroupName"] == name
    client.delete_model_package_group(ModelPackageGroupName=arn)
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_model_package_group(ModelPackageGroupName=name)
    with pytest.raises(ClientError, match="does not exist"):
        package(rehearsal, "Approved", arn)


def test_versions_count_on_after_a_deletion(rehearsal: Rehearsal) -> None:
    first = package(rehearsal, "Approved")
    group = first.split("/")[1]
    second = package(rehearsal, "Approved", group)
    rehearsal.client("sagemaker").delete_model_package(ModelPackageName=first)
    third = package(rehearsal, "Approved", group)
    assert [second[-2:], third[-2:]] == ["/2", "/3"]


def test_an_endpoint_goes_through_its_states(rehearsal: Rehearsal, checkpoint: Path) -> None:
    client, data = rehearsal.client("sagemaker"), rehearsal.put("slow.tar.gz", archive(checkpoint))

    def state() -> str:
        return str(client.describe_endpoint(EndpointName=name)["EndpointStatus"])

    # Its port opens when torch has loaded it: seconds, in which the endpoint is made.
    config = rehearsal.config(
        rehearsal.model(ModelDataUrl=data, Environment={"MODEL_LOAD": "eager"})
    )
    name = rehearsal.name("states")
    client.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert state() == "Creating"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        client.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="not found"):
        rehearsal.invoke(name)
    # Who waits is answered when it is over, and need not look twice.
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=ONE_LOOK)
    assert state() == "InService"
    client.update_endpoint(
        EndpointName=name, EndpointConfigName=rehearsal.config(rehearsal.model())
    )
    assert state() == "Updating"
    client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=ONE_LOOK)
    client.delete_endpoint(EndpointName=name)
    client.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=ONE_LOOK)


def test_a_broken_model_fails_the_endpoint_with_a_reason(rehearsal: Rehearsal) -> None:
    client, name = rehearsal.client("sagemaker"), rehearsal.name("broken")
    config = rehearsal.config(
        rehearsal.model(ModelDataUrl=rehearsal.put("broken.tar.gz", b"no archive"))
    )
    client.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert rehearsal.status(name) == "Failed"
    found = client.describe_endpoint(EndpointName=name)
    assert "broken.tar.gz is not a whole .tar.gz" in found["FailureReason"]
    client.delete_endpoint(EndpointName=name)
    client.get_waiter("endpoint_deleted").wait(EndpointName=name)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        client.describe_endpoint(EndpointName=name)


def test_a_container_that_does_not_start_fails_the_endpoint(rehearsal: Rehearsal) -> None:
    name = rehearsal.name("silent")
    config = rehearsal.config(rehearsal.model(Environment={"MODEL_LOAD": "never"}))
    rehearsal.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert rehearsal.status(name) == "Failed"
    reason = rehearsal.client("sagemaker").describe_endpoint(EndpointName=name)["FailureReason"]
    assert "did not pass the ping health check" in reason


def test_an_update_loses_nothing_and_shows_the_new_config(rehearsal: Rehearsal, model: str) -> None:
    client, endpoint = rehearsal.client("sagemaker"), rehearsal.endpoint(rehearsal.config(model))
    larger = rehearsal.config(model, {"MemorySizeInMB": 2048, "MaxConcurrency": 7})
    client.update_endpoint(EndpointName=endpoint, EndpointConfigName=larger)
    while rehearsal.invoke(endpoint)["Body"].read():
        found = client.describe_endpoint(EndpointName=endpoint)
        if found["EndpointStatus"] == "InService":
            break
    assert found["EndpointConfigName"] == larger
    assert found["ProductionVariants"][0]["CurrentServerlessConfig"]["MaxConcurrency"] == 7


def test_an_update_that_fails_leaves_what_served(rehearsal: Rehearsal, model: str) -> None:
    endpoint = rehearsal.endpoint(rehearsal.config(model))
    broken = rehearsal.config(
        rehearsal.model(ModelDataUrl=rehearsal.put("cut.tar.gz", b"\x1f\x8b cut"))
    )
    rehearsal.client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName=broken)
    assert rehearsal.status(endpoint) == "InService"
    found = rehearsal.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    assert "cut.tar.gz" in found["FailureReason"]
    assert rehearsal.invoke(endpoint)["Body"].read()


def test_serverless_becomes_real_time_and_never_the_other_way(
    rehearsal: Rehearsal, model: str
) -> None:
    client, serverless = rehearsal.client("sagemaker"), rehearsal.config(model)
    endpoint = rehearsal.endpoint(serverless)
    instances: dict[str, Any] = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    same = rehearsal.config(model, **instances)
    with pytest.raises(ClientError, match="must have a different name"):
        client.update_endpoint(EndpointName=endpoint, EndpointConfigName=same)
    other = rehearsal.config(model, VariantName="RealTime", **instances)
    client.update_endpoint(EndpointName=endpoint, EndpointConfigName=other)
    assert rehearsal.status(endpoint) == "InService"
    assert rehearsal.invoke(endpoint)["InvokedProductionVariant"] == "RealTime"
    with pytest.raises(ClientError, match="cannot be updated to a serverless endpoint"):
        client.update_endpoint(EndpointName=endpoint, EndpointConfigName=serverless)


def test_one_of_two_endpoints_of_the_same_name_is_made(rehearsal: Rehearsal, model: str) -> None:
    client, config, name = (
        rehearsal.client("sagemaker"),
        rehearsal.config(model),
        rehearsal.name("twice"),
    )

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
    assert rehearsal.status(name) == "InService"


def test_the_move_to_real_time_loses_no_call(rehearsal: Rehearsal, model: str) -> None:
    client, endpoint = rehearsal.client("sagemaker"), rehearsal.endpoint(rehearsal.config(model))
    moved = threading.Event()
    variants: list[set[str]] = [set(), set()]

    def keep_asking(found: set[str]) -> None:
        while not moved.is_set():
            found.add(rehearsal.invoke(endpoint)["InvokedProductionVariant"])

    with ThreadPoolExecutor(2) as threads:
        askers = [threads.submit(keep_asking, found) for found in variants]
        eventually(lambda: all(variants))
        instance = rehearsal.config(
            model, VariantName="RealTime", InstanceType="ml.m5.large", InitialInstanceCount=1
        )
        client.update_endpoint(EndpointName=endpoint, EndpointConfigName=instance)
        assert rehearsal.status(endpoint) == "InService"
        eventually(lambda: all(found == {"AllTraffic", "RealTime"} for found in variants))
        moved.set()
        for asker in askers:
            asker.result(60)


def test_concurrency_is_updated_in_place(rehearsal: Rehearsal, model: str) -> None:
    client, endpoint = rehearsal.client("sagemaker"), rehearsal.endpoint(rehearsal.config(model))

    def resize(most: int, provisioned: int) -> None:
        wish = {"MaxConcurrency": most, "ProvisionedConcurrency": provisioned}
        client.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "ServerlessUpdateConfig": wish}
            ],
        )

    resize(4, 1)
    assert rehearsal.status(endpoint) == "InService"
    found = client.describe_endpoint(EndpointName=endpoint)["ProductionVariants"][0]
    assert found["CurrentServerlessConfig"] == {
        "MemorySizeInMB": 1024,
        "MaxConcurrency": 4,
        "ProvisionedConcurrency": 1,
    }
    with pytest.raises(ClientError, match="ProvisionedConcurrency 5"):
        resize(4, 5)
    with pytest.raises(ClientError, match="non-unique within the request"):
        client.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 1}] * 2,
        )


def test_provisioned_concurrency_can_be_a_scalable_target(rehearsal: Rehearsal, model: str) -> None:
    provisioned = {"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 1}
    endpoint = rehearsal.endpoint(rehearsal.config(model, provisioned))
    scaling = rehearsal.client("application-autoscaling")
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


def test_everything_can_be_deleted(rehearsal: Rehearsal) -> None:
    client, model = rehearsal.client("sagemaker"), rehearsal.model()
    config = rehearsal.config(model)
    endpoint = rehearsal.endpoint(config)
    client.delete_endpoint(EndpointName=endpoint)
    client.get_waiter("endpoint_deleted").wait(EndpointName=endpoint)
    client.delete_endpoint_config(EndpointConfigName=config)
    client.delete_model(ModelName=model)
    with pytest.raises(ClientError, match="not found"):
        rehearsal.invoke(endpoint)
