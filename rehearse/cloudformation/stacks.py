"""Stacks in, stacks that fail and change as AWS's do out: what moto's CloudFormation lacks.

moto 5.2.5 raises out of the call where a resource fails, leaves alone what depends on a resource
that is replaced, forgets the outputs of a stack that a change set has made, and keeps AWS::NoValue
in lists.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from moto.cloudformation import models, parsing

from rehearse.cloudformation import changes, kinds, resources

# What is replaced before what refers to it. Other resources come first.
REPLACED = ("AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig")
ORDER = (*REPLACED, "AWS::SageMaker::Endpoint")

# One stack at a time.
UPDATING = threading.RLock()
CREATE = models.Stack.create_resources
UPDATE = models.Stack.update
DIFF = parsing.ResourceMap.build_resource_diff
CLEAN = parsing.clean_json


class Formation(models.CloudFormationBackend):
    """moto's backend of one region."""

    @property
    def _url_module(self) -> Any:
        from moto.cloudformation import urls

        return urls

    def execute_change_set(self, change_set_name: str, stack_name: str | None = None) -> None:
        change = self.describe_change_set(change_set_name)
        if change is None:
            super().execute_change_set(change_set_name, stack_name)
            return
        stack = self.stacks[change.stack_id]
        execute = partial(super().execute_change_set, change_set_name, stack_name)
        if _attempt(stack, change.change_set_type, execute):
            stack._parse_template()
            stack.output_map = stack._create_output_map()
        else:
            change.execution_status = "EXECUTE_FAILED"


def create_resources(stack: models.Stack) -> None:
    """CreateStack does not fail, the stack does."""
    _attempt(stack, "CREATE", partial(CREATE, stack))


def update(stack: models.Stack, *given: Any, **named: Any) -> None:
    """UpdateStack does not fail, the stack does."""
    _attempt(stack, "UPDATE", partial(UPDATE, stack, *given, **named))


def _attempt(stack: models.Stack, verb: str, work: Callable[[], None]) -> bool:
    """Whether it has succeeded; where an update has not, the stack is what it was."""
    template, before = stack.template, dict(vars(stack.resource_map))
    before["_parsed_resources"] = dict(before["_parsed_resources"])
    with UPDATING:
        changes.begin()
        try:
            work()
        except (Exception, changes.Failed) as error:  # whatever it is, the stack says why
            if verb == "UPDATE":
                changes.undo()
                stack.template = template
                stack._parse_template()
                vars(stack.resource_map).update(before)
                stack.output_map = stack._create_output_map()
            _failed(stack, verb, error)
            return False
        changes.finish()
        stack.stack_status_reason = None  # type: ignore[attr-defined]  # as below
        return True


def _failed(stack: models.Stack, verb: str, error: BaseException) -> None:
    """A stack that cannot be created is rolled back, all of it; an update has been.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
    """
    reason = getattr(error, "message", None) or str(error)
    if isinstance(error, KeyError):
        reason = f"The property {reason} is missing."
    end = "ROLLBACK_COMPLETE" if verb == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
    stack._add_stack_event(f"{verb}_FAILED", resource_status_reason=reason)
    stack.stack_status_reason = reason  # type: ignore[attr-defined]  # for DescribeStacks
    if verb == "CREATE":
        stack.resource_map.delete()
        # moto creates what is missing whenever somebody looks.
        stack.template_dict = {"Resources": {}}
        stack.resource_map = stack._create_resource_map()
        stack.output_map = stack._create_output_map()
    stack.status = end
    stack._add_stack_event(end)


def build_resource_diff(
    self: parsing.ResourceMap, other_template: dict[str, Any], parameters: Any = None
) -> dict[str, Any]:
    """With what refers to a resource that will be replaced, each after what it refers to."""
    found = DIFF(self, other_template, parameters)
    given = other_template["Resources"]
    changed = set(found["Modify"])
    for kind in REPLACED:
        for name in [each for each in changed if given[each]["Type"] == kind]:
            changed |= {
                other
                for other, resource in given.items()
                if other not in found["Add"]
                and resource["Type"] in ORDER
                and _mentions(resource, name)
            }
    found["Modify"] = sorted(changed, key=lambda name: _rank(given[name]["Type"]))
    return found


def clean_json(value: Any, resources: parsing.ResourceMap) -> Any:
    """Lists without AWS::NoValue."""
    found = CLEAN(value, resources)
    return [each for each in found if each is not None] if isinstance(found, list) else found


def _mentions(resource: dict[str, Any], name: str) -> bool:
    """By Ref, GetAtt or Sub; a property that is called the same does no harm."""
    text = json.dumps(resource.get("Properties", {}), default=str)
    return re.search(rf"(?<![A-Za-z0-9]){name}(?![A-Za-z0-9])", text) is not None


def _rank(kind: str) -> int:
    return ORDER.index(kind) if kind in ORDER else -1


def install(cloudwatch: Any) -> None:
    """Let moto use all this."""
    kinds.Alarm.cloudwatch = cloudwatch
    resources.install()
    models.cloudformation_backends.backend = Formation
    stack: Any = models.Stack
    stack.create_resources, stack.update = create_resources, update
    resource_map: Any = parsing.ResourceMap
    resource_map.build_resource_diff = build_resource_diff
    # Typed loosely: moto's is overloaded.
    setattr(parsing, "clean_json", clean_json)  # noqa: B010
    # moto has perhaps listed its models before there were ours.
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()
