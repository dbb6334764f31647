"""Change an endpoint while it serves.

update.py memory sentiment 2048              another memory size
update.py provisioned sentiment 2            two containers that are kept warm
update.py scale sentiment --most 4           one to four of them, by their use
update.py real-time sentiment ml.c5.large    from serverless to instances, for good
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-autoscale.html
SCALED = "sagemaker:variant:DesiredProvisionedConcurrency"
# The server sizes its threads by it; the platform itself does not tell it.
MEMORY = "MEMORY_SIZE_IN_MB"
METRIC = "SageMakerVariantProvisionedConcurrencyUtilization"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantServerlessConfig.html
MEMORY_SIZES_MB = range(1024, 6145, 1024)


class Endpoint:
    """A serverless endpoint that is in service."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = boto3.client("sagemaker")
        self.scaling = boto3.client("application-autoscaling")
        found = self.client.describe_endpoint(EndpointName=name)
        config = self.client.describe_endpoint_config(
            EndpointConfigName=found["EndpointConfigName"]
        )
        (self.variant,) = config["ProductionVariants"]
        # The present values, which may have been changed without a new configuration.
        (now,) = found["ProductionVariants"]
        if "CurrentServerlessConfig" not in now:
            raise SystemExit(f"{name} is not serverless")
        self.serverless: dict[str, int] = now["CurrentServerlessConfig"]

    def memory(self, megabytes: int) -> None:
        """Replace the configuration; new containers start before the old ones end.

        https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-update.html
        """
        config = {**self.serverless, "MemorySizeInMB": megabytes}
        self._replace(
            f"{self.name}-{megabytes}",
            {**self.variant, "ModelName": self._told(megabytes), "ServerlessConfig": config},
        )

    def provisioned(self, count: int) -> None:
        """Keep containers warm, at least one, without a new configuration.

        A new configuration without the key ends it.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ServerlessUpdateConfig.html
        """
        most = max(count, self.serverless["MaxConcurrency"])
        self.client.update_endpoint_weights_and_capacities(
            EndpointName=self.name,
            DesiredWeightsAndCapacities=[
                {
                    "VariantName": self.variant["VariantName"],
                    "ServerlessUpdateConfig": {
                        "ProvisionedConcurrency": count,
                        "MaxConcurrency": most,
                    },
                }
            ],
        )
        self._wait()

    def scale(self, least: int, most: int, target: float) -> None:
        """Keep as many containers warm as make this share of them busy.

        CloudFormation cannot do it.
        """
        place = {**self._place(), "ServiceNamespace": "sagemaker"}
        self.scaling.register_scalable_target(**place, MinCapacity=least, MaxCapacity=most)
        self.scaling.put_scaling_policy(
            **place,
            PolicyName=f"{self.name}-provisioned-concurrency",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": target,
                "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
            },
        )

    def real_time(self, instance_type: str) -> None:
        """Serve the same model on an instance, under another name of the variant, as it must be.

        https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
        """
        # A variant that is scaled cannot be replaced:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html
        if self.scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[self._place()["ResourceId"]]
        )["ScalableTargets"]:
            self.scaling.deregister_scalable_target(ServiceNamespace="sagemaker", **self._place())
        self._replace(
            f"{self.name}-{instance_type.replace('.', '-')}",
            {
                "VariantName": "RealTime",
                # Else it would use the CPU share of the memory size that it was told before.
                "ModelName": self._told(None),
                "InstanceType": instance_type,
                "InitialInstanceCount": 1,
            },
        )

    def _told(self, megabytes: int | None) -> str:
        """Return the name of a model like the one that serves, told this memory size or none."""
        found = self.client.describe_model(ModelName=self.variant["ModelName"])
        container = found.get("PrimaryContainer") or found["Containers"][0]
        before = container.get("Environment", {})
        environment = {key: value for key, value in before.items() if key != MEMORY}
        if megabytes:
            environment[MEMORY] = str(megabytes)
        if environment == before:
            return str(found["ModelName"])
        name = f"{self.name[:40]}-{megabytes or 'instance'}-{int(time.time())}"
        self.client.create_model(
            ModelName=name,
            ExecutionRoleArn=found["ExecutionRoleArn"],
            PrimaryContainer={**container, "Environment": environment},
        )
        return name

    def _place(self) -> dict[str, str]:
        variant = self.variant["VariantName"]
        return {
            "ResourceId": f"endpoint/{self.name}/variant/{variant}",
            "ScalableDimension": SCALED,
        }

    def _replace(self, config: str, variant: dict[str, Any]) -> None:
        """Make a configuration, with a name of its own as none can be changed, and take it."""
        config = f"{config[:50]}-{int(time.time())}"
        self.client.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
        self.client.update_endpoint(EndpointName=self.name, EndpointConfigName=config)
        self._wait()

    def _wait(self) -> None:
        """Wait until it is in service; after a failed update it serves as before, and says why."""
        self.client.get_waiter("endpoint_in_service").wait(EndpointName=self.name)
        found = self.client.describe_endpoint(EndpointName=self.name)
        if "FailureReason" in found:
            raise SystemExit(f"{self.name} is as it was: {found['FailureReason']}")
        print(f"{self.name} is in service with {found['EndpointConfigName']}")


def main() -> None:
    """Make one change."""
    parser = argparse.ArgumentParser(description="Change an endpoint while it serves.")
    commands = parser.add_subparsers(dest="wish", required=True)
    memory = commands.add_parser("memory", help="another memory size")
    provisioned = commands.add_parser("provisioned", help="containers that are kept warm")
    scale = commands.add_parser("scale", help="let their number follow their use")
    real_time = commands.add_parser("real-time", help="from serverless to an instance")
    for each in (memory, provisioned, scale, real_time):
        each.add_argument("endpoint", help="its name")
    memory.add_argument("megabytes", type=int, choices=MEMORY_SIZES_MB)
    provisioned.add_argument("count", type=int)
    scale.add_argument("--least", type=int, default=1, help="default: %(default)s")
    scale.add_argument("--most", type=int, required=True)
    scale.add_argument("--target", type=float, default=0.7, help="default: %(default)s")
    real_time.add_argument("instance_type", help="such as ml.c5.large")
    given = vars(parser.parse_args())

    endpoint = Endpoint(given.pop("endpoint"))
    getattr(endpoint, given.pop("wish").replace("-", "_"))(**given)


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"update.py: {error}") from error
