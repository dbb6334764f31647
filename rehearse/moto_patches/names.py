"""List the names of moto that are replaced, or private and used; replace them."""

from __future__ import annotations

import pkgutil
from typing import Any

# What is replaced, and why.
REPLACED = {
    "moto.moto_server.werkzeug_app.DISABLE_GLOBAL_CORS": "pages of the web may not use a rehearsal",
    "moto.sagemaker.models.sagemaker_backends.backend": "moto's has records, and runs nothing",
    "moto.sagemaker.urls.url_paths": "moto's responses lack actions, and checks",
    "moto.cloudwatch.models.are_dimensions_same": "never True for two dimensions or more",
    "moto.cloudwatch.models.MetricDatumBase.filter": "lists a metric without dimensions again",
    "moto.cloudwatch.models.Statistics.get_statistics_for_type": "knows no percentile",
    "moto.cloudwatch.responses.CloudWatchResponse.get_metric_statistics": (
        "forgets ExtendedStatistics"
    ),
    "moto.cloudwatch.models.CloudWatchBackend.get_metric_data": "computes no expression",
    "moto.logs.models.EventMessageFilter": "takes what it does not know for all",
    "moto.logs.models.LogsBackend.filter_log_events": "the same",
    "moto.applicationautoscaling.models.ScalableDimensionValueSet": "lacks our dimension",
    "moto.applicationautoscaling.responses.ScalableDimensionValueSet": "the same",
    "moto.applicationautoscaling.models.ApplicationAutoscalingBackend.register_scalable_target": (
        "asks nobody whether the variant is there"
    ),
    "moto.cloudformation.models.Stack.create_resources": "raises where a stack should fail",
    "moto.cloudformation.models.Stack.update": "the same",
    "moto.cloudformation.models.CloudFormationBackend.execute_change_set": (
        "the same; and forgets the outputs and the description of the stack"
    ),
    **{
        f"moto.cloudformation.models.CloudFormationBackend.{function}": "checks no template"
        for function in ("create_stack", "update_stack", "create_change_set")
    },
    **{
        f"moto.cloudformation.responses.CloudFormationResponse.{action}_change_set": (
            "takes that of another stack, and fails where there is none"
        )
        for action in ("describe", "execute", "delete")
    },
    **{
        f"moto.cloudformation.{module}.get_stack_from_s3_url": "takes 127.0.0.1 for a bucket's host"
        for module in ("models", "responses")
    },
    "moto.cloudformation.parsing.ResourceMap.load_parameters": (
        "keeps the parameters that an update removes"
    ),
    "moto.cloudformation.parsing.ResourceMap.build_resource_diff": (
        "leaves alone what refers to a resource that is replaced"
    ),
    "moto.cloudformation.parsing.clean_json": "keeps AWS::NoValue in lists",
    # They ignore names in a template, want a PrimaryContainer, and replace where AWS updates.
    **{
        f"moto.sagemaker.models.{model}.{function}": "handles resources otherwise than AWS"
        for model in ("Model", "FakeEndpointConfig", "FakeEndpoint")
        for function in (
            "cloudformation_name_type",
            "create_from_cloudformation_json",
            "update_from_cloudformation_json",
        )
    },
    "moto.sagemaker.models.FakeEndpoint.delete_from_cloudformation_json": "does not wait",
    "moto.logs.models.LogGroup.update_from_cloudformation_json": "is not there",
}
# What is used or overridden though it is private or an implementation detail.
USED = (
    "moto.core.base_backend.BaseBackend._url_module",
    "moto.core.responses.BaseResponse._get_action",
    "moto.core.responses.BaseResponse._get_param",
    "moto.sagemaker.models.SageMakerModelBackend._models",
    "moto.cloudformation.models.Stack._add_stack_event",
    "moto.cloudformation.models.Stack._create_output_map",
    "moto.cloudformation.models.Stack._create_resource_map",
    "moto.cloudformation.models.Stack._parse_template",
    "moto.cloudformation.parsing.ResourceMap._parsed_resources",
    "moto.cloudformation.parsing.get_model_list.cache_clear",
    "moto.cloudformation.parsing.get_model_map.cache_clear",
    "moto.cloudformation.parsing.get_name_type_map.cache_clear",
)
ORIGINALS: dict[str, Any] = {}


def replace(name: str, new: Any) -> Any:
    """Replace a name of moto, which must be in REPLACED, and return what it was at first."""
    assert name in REPLACED, name
    owner, _, last = name.rpartition(".")
    found = pkgutil.resolve_name(owner)
    original = ORIGINALS.setdefault(name, getattr(found, last))
    setattr(found, last, new)
    return original
