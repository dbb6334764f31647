"""Let moto's CloudFormation change stacks as AWS does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rehearse.errors import TemplateError, one_line
from rehearse.moto_patches.names import replace

if TYPE_CHECKING:
    from moto.cloudformation.models import CloudFormationBackend, Stack
    from moto.cloudformation.parsing import ResourceMap


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
            stack.parameters = change.parameters
            stack._parse_template()
            stack.description = stack.template_dict.get("Description")
            stack.output_map = stack._create_output_map()
        else:
            change.execution_status = "EXECUTE_FAILED"

    module = "moto.cloudformation.models"
    created = replace(f"{module}.Stack.create_resources", create)
    updated = replace(f"{module}.Stack.update", update)
    executed = replace(f"{module}.CloudFormationBackend.execute_change_set", execute)


def patch_change_sets() -> None:
    """Find a change set by its name in its stack; the AWS CDK calls those of all stacks the same.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html
    """
    from moto.cloudformation.exceptions import CloudFormationError
    from moto.core.responses import ActionResult, EmptyResult

    def find(response: Any) -> str | None:
        """Return the id of the change set that a request means, or None."""
        backend, name = response.cloudformation_backend, response._get_param("ChangeSetName")
        stack = response._get_param("StackName")
        stack_id = backend.get_stack(stack).stack_id if stack else None
        for key, change in backend.change_sets.items():
            if name in (key, change.change_set_name) and stack_id in (None, change.stack_id):
                return str(key)
        return None

    def found(response: Any) -> str:
        change = find(response)
        if change is None:
            name = response._get_param("ChangeSetName")
            error = CloudFormationError(f"ChangeSet [{name}] does not exist")
            error.code = "ChangeSetNotFound"
            raise error
        return change

    def describe(response: Any) -> Any:
        return ActionResult(response.cloudformation_backend.describe_change_set(found(response)))

    def execute(response: Any) -> Any:
        response.cloudformation_backend.execute_change_set(found(response))
        return EmptyResult()

    def delete(response: Any) -> Any:
        if change := find(response):
            response.cloudformation_backend.delete_change_set(change)
        return EmptyResult()

    module = "moto.cloudformation.responses.CloudFormationResponse"
    replace(f"{module}.describe_change_set", describe)
    replace(f"{module}.execute_change_set", execute)
    replace(f"{module}.delete_change_set", delete)


def patch_template_urls(host: str) -> None:
    """Read a template that was put into the S3 of this host, which clients name in TemplateURL."""

    def read(template_url: str, *given: Any, **named: Any) -> str:
        # moto reads a bucket at the head of the path on localhost only.
        return str(at(template_url.replace(f"//{host}:", "//localhost:", 1), *given, **named))

    at = replace("moto.cloudformation.responses.get_stack_from_s3_url", read)
    replace("moto.cloudformation.models.get_stack_from_s3_url", read)  # of nested stacks


# Gets a template and the values given for its parameters; raises TemplateError.
Check = Callable[[Any, Mapping[str, Any]], None]
# Gets the name of a new stack; raises TemplateError.
CheckName = Callable[[str], None]


def patch_checks(check: Check, check_name: CheckName) -> None:
    """Let functions refuse templates, parameters and new names before a stack is touched."""
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.models import Stack

    def refuse(text: str, parameters: Mapping[str, Any], new: str | None = None) -> None:
        try:
            if new is not None:
                check_name(new)
            try:
                template = Stack.parse_template(text)
            except Exception as error:  # of the parsers of YAML and JSON
                raise TemplateError(f"Template format error: {one_line(error)}") from error
            check(template, parameters)
        except TemplateError as error:
            raise ValidationError(message=str(error)) from error

    def create(backend: Any, name: str, template: str, parameters: Any, **more: Any) -> Any:
        refuse(template, parameters, name)
        return created(backend, name, template, parameters, **more)

    def update(backend: Any, *, parameters: list[dict[str, Any]], **more: Any) -> Any:
        stack = backend.get_stack(more["name"])
        before = stack.template_dict.get("Parameters") or {}
        defaults = {key: each["Default"] for key, each in before.items() if "Default" in each}
        previous = {**defaults, **stack.parameters}
        values = {
            each["ParameterKey"]: previous.get(each["ParameterKey"])
            if each.get("UsePreviousValue")
            else each.get("ParameterValue")
            for each in parameters
        }
        refuse(more["template"], values)
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
        return updated(backend, parameters=given, **more)

    def change(backend: Any, *, template: str, parameters: Any, **more: Any) -> Any:
        creates = more["change_set_type"] == "CREATE"
        refuse(template, parameters, more["stack_name"] if creates else None)
        return changed(backend, template=template, parameters=parameters, **more)

    module = "moto.cloudformation.models.CloudFormationBackend"
    created = replace(f"{module}.create_stack", create)
    updated = replace(f"{module}.update_stack", update)
    changed = replace(f"{module}.create_change_set", change)


def patch_parameters() -> None:
    """Let an update forget the parameters of the template before, which may have had more."""

    def load(resources: ResourceMap) -> None:
        for name in resources.resolved_parameters:
            resources._parsed_resources.pop(name, None)
        resources.resolved_parameters = {}
        loaded(resources)

    loaded = replace("moto.cloudformation.parsing.ResourceMap.load_parameters", load)


# Names by "Add", "Modify" and "Remove", and the resources of a template; returns the same, revised.
Revise = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def patch_templates(revise: Revise, handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Let a function revise what an update changes, and others handle resources.

    `handlers` are by SERVICE.MODEL.FUNCTION of moto.
    """
    from moto.cloudformation import parsing

    def diff(old: ResourceMap, template: dict[str, Any], parameters: Any = None) -> dict[str, Any]:
        return revise(compared(old, template, parameters), template["Resources"])

    def clean(value: Any, resources: ResourceMap) -> Any:
        found = cleaned(value, resources)
        return [each for each in found if each is not None] if isinstance(found, list) else found

    module = "moto.cloudformation.parsing"
    compared = replace(f"{module}.ResourceMap.build_resource_diff", diff)
    cleaned = replace(f"{module}.clean_json", clean)
    for name, handler in handlers.items():
        service, _, function = name.partition(".")
        replace(f"moto.{service}.models.{function}", staticmethod(handler))
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
