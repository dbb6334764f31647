"""Change moto where it does not answer as AWS does, and use what it keeps private.

Written for moto 5.2.5; pyproject.toml allows no other minor release. A test checks that each name
below exists in the moto that is installed, and that no other module replaces or uses one.

moto's CloudFormation and Application Auto Scaling are imported where they are patched: each brings
half of moto with it, seconds of imports.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import Dimension
from moto.sagemaker import models as sagemaker_models
from moto.sagemaker import urls as sagemaker_urls
from moto.sagemaker.responses import SageMakerResponse

if TYPE_CHECKING:
    from moto.cloudformation.models import CloudFormationBackend, Stack
    from moto.cloudformation.parsing import ResourceMap

# What is replaced, and why.
REPLACED = {
    "moto.moto_server.werkzeug_app.DISABLE_GLOBAL_CORS": "pages of the web may not use a rehearsal",
    "moto.sagemaker.models.sagemaker_backends.backend": "moto's has records, and runs nothing",
    "moto.sagemaker.urls.url_paths": "moto's responses lack actions, and checks",
    "moto.cloudwatch.models.are_dimensions_same": "never True for two dimensions or more",
    "moto.cloudwatch.models.MetricDatumBase.filter": "lists a metric without dimensions again",
    "moto.applicationautoscaling.models.ScalableDimensionValueSet": "lacks our dimension",
    "moto.applicationautoscaling.responses.ScalableDimensionValueSet": "the same",
    "moto.applicationautoscaling.models.ApplicationAutoscalingBackend.register_scalable_target": (
        "asks nobody whether the variant is there"
    ),
    "moto.cloudformation.models.Stack.create_resources": "raises where a stack should fail",
    "moto.cloudformation.models.Stack.update": "the same",
    "moto.cloudformation.models.CloudFormationBackend.execute_change_set": (
        "the same; and forgets the outputs of the stack"
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


def _replace(name: str, new: Any) -> Any:
    """Replace a name of moto, which must be in REPLACED, and return what it was at first."""
    assert name in REPLACED, name
    owner, _, last = name.rpartition(".")
    found = pkgutil.resolve_name(owner)
    original = ORIGINALS.setdefault(name, getattr(found, last))
    setattr(found, last, new)
    return original


def patch_server() -> None:
    """Do not let pages of other origins read the answers of a rehearsal."""
    _replace("moto.moto_server.werkzeug_app.DISABLE_GLOBAL_CORS", True)


class SageMakerBackend(sagemaker_models.SageMakerModelBackend):
    """moto's backend of one region, to be extended outside of moto."""

    @property
    def _url_module(self) -> Any:
        return sagemaker_urls  # moto looks beside the module of the class

    @property
    def models(self) -> Mapping[str, sagemaker_models.Model]:
        """Return all models by name."""
        return self._models


class SageMakerResponses(SageMakerResponse):
    """moto's responses, to be extended outside of moto: a method by the name of each action."""

    def action(self) -> str:
        """Return the name of the action that is called."""
        return self._get_action()

    def parameter(self, name: str) -> Any:
        """Return a member of the request, or None."""
        return self._get_param(name)


def patch_sagemaker(backend: type[SageMakerBackend], responses: type[SageMakerResponses]) -> None:
    """Let moto use this backend, and answer with these responses."""
    _replace("moto.sagemaker.models.sagemaker_backends.backend", backend)
    _replace("moto.sagemaker.urls.url_paths", {"{0}/$": responses.dispatch})


def patch_cloudwatch() -> None:
    """Let ListMetrics name a metric once.

    moto compares every dimension of one metric with every one of another, so two metrics of two
    dimensions are never the same to it, nor are two of none.
    """

    def same_dimensions(one: list[Dimension], other: list[Dimension]) -> bool:
        return sorted(map(pair, one)) == sorted(map(pair, other))

    def pair(dimension: Dimension) -> tuple[str, str]:
        return str(dimension.name), str(dimension.value)

    def wanted(metric: Any, *asked: Any, **named: Any) -> bool:
        """Return whether a metric is asked for, and not yet among those present."""
        for each in named.get("already_present_metrics") or ():
            same_name = (each.namespace, each.name) == (metric.namespace, metric.name)
            if same_name and not metric.dimensions and not each.dimensions:
                return False
        return bool(original(metric, *asked, **named))

    _replace("moto.cloudwatch.models.are_dimensions_same", same_dimensions)
    original = _replace("moto.cloudwatch.models.MetricDatumBase.filter", wanted)


def patch_auto_scaling(dimension: str, check: Callable[[str, str, str], None]) -> None:
    """Let moto take one more dimension; `check` gets account, region and resource ID."""

    def register(backend: Any, namespace: str, r_id: str, asked: str, **more: Any) -> Any:
        if asked == dimension:
            check(backend.account_id, backend.region_name, r_id)
        return original(backend, namespace, r_id, asked, **more)

    module = "moto.applicationautoscaling"
    known = pkgutil.resolve_name(f"{module}.models.ScalableDimensionValueSet")
    if dimension not in [each.value for each in known]:
        # An enum cannot be added to, so it is made anew.
        members = {each.name: each.value for each in known} | {"ADDED": dimension}
        enum: Any = Enum
        made = enum(known.__name__, members)
        for place in ("models", "responses"):
            _replace(f"{module}.{place}.ScalableDimensionValueSet", made)
    original = _replace(
        f"{module}.models.ApplicationAutoscalingBackend.register_scalable_target", register
    )


# Does the work on a stack, for a "CREATE" or an "UPDATE"; returns whether it has succeeded.
Attempt = Callable[["Stack", str, Callable[[], None]], bool]


def patch_stacks(attempt: Attempt) -> None:
    """Let every change of a stack be attempted by this function."""

    def create(stack: Stack) -> None:
        attempt(stack, "CREATE", partial(created, stack))

    def update(stack: Stack, *given: Any, **named: Any) -> None:
        attempt(stack, "UPDATE", partial(updated, stack, *given, **named))

    def execute(
        backend: CloudFormationBackend, change_set_name: str, stack_name: str | None = None
    ) -> None:
        work = partial(executed, backend, change_set_name, stack_name)
        change = backend.describe_change_set(change_set_name)
        if change is None:
            work()
            return
        stack = backend.stacks[change.stack_id]
        if attempt(stack, change.change_set_type, work):
            stack._parse_template()
            stack.output_map = stack._create_output_map()
        else:
            change.execution_status = "EXECUTE_FAILED"

    module = "moto.cloudformation.models"
    created = _replace(f"{module}.Stack.create_resources", create)
    updated = _replace(f"{module}.Stack.update", update)
    executed = _replace(f"{module}.CloudFormationBackend.execute_change_set", execute)


# Names by "Add", "Modify" and "Remove", and the resources of a template; returns the same, revised.
Revise = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def patch_templates(revise: Revise, handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Let a function revise what an update changes, and others handle SageMaker's resources.

    `handlers` are by MODEL.FUNCTION of moto.sagemaker.models.
    """
    from moto.cloudformation import parsing

    def diff(old: ResourceMap, template: dict[str, Any], parameters: Any = None) -> dict[str, Any]:
        return revise(compared(old, template, parameters), template["Resources"])

    def clean(value: Any, resources: ResourceMap) -> Any:
        found = cleaned(value, resources)
        return [each for each in found if each is not None] if isinstance(found, list) else found

    module = "moto.cloudformation.parsing"
    compared = _replace(f"{module}.ResourceMap.build_resource_diff", diff)
    cleaned = _replace(f"{module}.clean_json", clean)
    for name, handler in handlers.items():
        _replace(f"moto.sagemaker.models.{name}", staticmethod(handler))
    # moto has perhaps listed its types before there were ours.
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()


class StackState:
    """What a stack is before an update, so that it can be made that again."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._template = stack, stack.template
        self._resources = dict(vars(stack.resource_map))
        self._resources["_parsed_resources"] = dict(self._resources["_parsed_resources"])

    def restore(self) -> None:
        """Give the stack the template, the resources and the outputs that it had."""
        stack = self._stack
        stack.template = self._template
        stack._parse_template()
        vars(stack.resource_map).update(self._resources)
        stack.output_map = stack._create_output_map()


def delete_resources(stack: Stack) -> None:
    """Delete all resources of a stack, and forget them: moto creates what is asked for."""
    stack.resource_map.delete()
    stack.template_dict = {"Resources": {}}
    stack.resource_map = stack._create_resource_map()
    stack.output_map = stack._create_output_map()


def add_event(stack: Stack, status: str, reason: str | None = None) -> None:
    """Add an event of the stack itself."""
    stack._add_stack_event(status, resource_status_reason=reason)
