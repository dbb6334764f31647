"""Deploy the stack of cloudformation.yaml with the AWS CDK: role, model, endpoint, log, alarms.

    pip install aws-cdk-lib && npm install --global aws-cdk
    cdk deploy --app "python deploy/cdk_app.py" --context Image=URI
    cdk destroy --force --app "python deploy/cdk_app.py" --context Image=URI

Nothing is uploaded, so the account need not be bootstrapped; the stack is made with the caller's
rights: https://docs.aws.amazon.com/cdk/v2/guide/configure-synth.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aws_cdk import App, CfnOutput, CfnResource, LegacyStackSynthesizer, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker

# Names in the context: the template's parameters, which it explains, and the name of stack and
# endpoint. Image has no default.
DEFAULTS: dict[str, str | int] = {
    "StackName": "sentiment",
    "Image": "",
    "Repository": "sagemaker-serverless-sentiment",
    "ModelBucket": "",
    "ModelKey": "model.tar.gz",
    "MemorySizeInMB": 1024,
    "MaxConcurrency": 5,
    "ProvisionedConcurrency": 0,
    "AlarmTopic": "",
    "LogRetentionInDays": 30,
}
MEMORY_SIZES = (1024, 2048, 3072, 4096, 5120, 6144)
PLATFORM, CONTAINERS = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
# alarms.jsonl and dashboard.json, which operations.md explains.
DOCS = Path(__file__).resolve().parents[1] / "docs"


def parameters(app: App) -> dict[str, Any]:
    """Return the parameters of the context, with their defaults; exit if one is wrong."""
    # What the CDK itself puts into the context begins with a small letter or "@".
    for name in app.node.get_all_context():
        if name[:1].isupper() and name not in DEFAULTS:
            raise SystemExit(f"cdk_app.py: {name} is not one of {', '.join(DEFAULTS)}")
    given: dict[str, Any] = {}
    for name, default in DEFAULTS.items():
        value = app.node.try_get_context(name)
        try:
            given[name] = default if value is None else type(default)(value)
        except ValueError:
            raise SystemExit(f"cdk_app.py: {name} is a number, not {value!r}") from None
    if not given["Image"]:
        raise SystemExit("cdk_app.py: give --context Image=URI, as build.sh push prints it")
    if given["MemorySizeInMB"] not in MEMORY_SIZES:
        sizes = ", ".join(map(str, MEMORY_SIZES))
        raise SystemExit(f"cdk_app.py: MemorySizeInMB is one of {sizes}")
    return given


def add_endpoint(app: App, given: Mapping[str, Any]) -> None:
    """Add a stack with a serverless endpoint of the same name."""
    name = given["StackName"]
    about = "A serverless endpoint that labels customer reviews"
    stack = Stack(app, name, description=about, synthesizer=LegacyStackSynthesizer())
    role = _role(stack, given)
    # Else the platform makes it, keeps lines forever, and leaves it behind.
    log = logs.CfnLogGroup(
        stack,
        "Log",
        log_group_name=f"{CONTAINERS}/{name}",
        retention_in_days=given["LogRetentionInDays"],
    )
    endpoint = sagemaker.CfnEndpoint(
        stack,
        "Endpoint",
        endpoint_name=name,
        endpoint_config_name=_config(stack, given, role.role_arn).attr_endpoint_config_name,
    )
    endpoint.node.add_dependency(log)
    _alarms(stack, given, endpoint)
    dashboard = (DOCS / "dashboard.json").read_text(encoding="utf-8")
    dashboard = dashboard.replace("ENDPOINT", name).replace("REGION", stack.region)
    cloudwatch.CfnDashboard(stack, "Dashboard", dashboard_name=name, dashboard_body=dashboard)
    CfnOutput(stack, "EndpointName", value=endpoint.attr_endpoint_name)
    CfnOutput(stack, "RoleArn", value=role.role_arn)


def _role(stack: Stack, given: Mapping[str, Any]) -> iam.Role:
    """Make a role with what a model of this image needs, and nothing else.

    https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms
    """
    bucket, key = given["ModelBucket"], given["ModelKey"]
    repository = stack.format_arn(
        service="ecr", resource="repository", resource_name=given["Repository"]
    )
    log = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:{CONTAINERS}/*"
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    write = ["CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"]
    names = {"StringEquals": {"cloudwatch:namespace": [PLATFORM, CONTAINERS]}}
    rights = [
        _allow("PullTheImage", pull, repository),
        _allow("LogInToTheRegistry", ["ecr:GetAuthorizationToken"], "*"),  # knows no resources
        _allow("WriteLogs", [f"logs:{each}" for each in write], log),
        _allow("WriteMetrics", ["cloudwatch:PutMetricData"], "*", names),  # knows no resources
    ]
    if bucket:
        model = f"arn:{stack.partition}:s3:::{bucket}/{key}"
        rights.append(_allow("ReadTheModel", ["s3:GetObject"], model))
    own_account = {"StringEquals": {"aws:SourceAccount": stack.account}}
    return iam.Role(
        stack,
        "Role",
        assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com", conditions=own_account),
        inline_policies={"endpoint": iam.PolicyDocument(statements=rights)},
    )


def _allow(
    sid: str, actions: Sequence[str], resource: str, conditions: Mapping[str, Any] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid, actions=actions, resources=[resource], conditions=conditions
    )


def _config(stack: Stack, given: Mapping[str, Any], role: str) -> sagemaker.CfnEndpointConfig:
    """Make the model and the endpoint configuration.

    Without a fixed name they are replaced when the image or the memory size changes, while the
    endpoint serves.
    """
    bucket, key, memory = given["ModelBucket"], given["ModelKey"], given["MemorySizeInMB"]
    environment = {"MEMORY_SIZE_IN_MB": str(memory), "ENDPOINT_NAME": given["StackName"]}
    model = sagemaker.CfnModel(
        stack,
        "Model",
        execution_role_arn=role,
        primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
            image=given["Image"],
            model_data_url=f"s3://{bucket}/{key}" if bucket else None,
            environment=environment,
        ),
    )
    variant = sagemaker.CfnEndpointConfig.ProductionVariantProperty(
        variant_name="AllTraffic",
        model_name=model.attr_model_name,
        initial_variant_weight=1,
        serverless_config=sagemaker.CfnEndpointConfig.ServerlessConfigProperty(
            memory_size_in_mb=memory,
            max_concurrency=given["MaxConcurrency"],
            provisioned_concurrency=given["ProvisionedConcurrency"] or None,
        ),
    )
    return sagemaker.CfnEndpointConfig(stack, "Config", production_variants=[variant])


def _alarms(stack: Stack, given: Mapping[str, Any], endpoint: sagemaker.CfnEndpoint) -> None:
    """Make the alarms on metrics of the platform."""
    text = (DOCS / "alarms.jsonl").read_text(encoding="utf-8")
    for line in text.replace("ENDPOINT", given["StackName"]).splitlines():
        alarm = json.loads(line)
        if alarm.get("Namespace") not in (PLATFORM, CONTAINERS):
            continue
        topics = {"AlarmActions": [given["AlarmTopic"]], "OKActions": [given["AlarmTopic"]]}
        alarm |= topics if given["AlarmTopic"] else dict.fromkeys(topics)
        # The properties are called as the parameters of PutMetricAlarm.
        made = CfnResource(
            stack, alarm["MetricName"], type="AWS::CloudWatch::Alarm", properties=alarm
        )
        made.node.add_dependency(endpoint)


if __name__ == "__main__":
    application = App()
    add_endpoint(application, parameters(application))
    application.synth()
