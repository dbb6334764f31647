"""Refuse templates and parameters that CloudFormation refuses before it touches a stack.

The words are AWS's: https://repost.aws/knowledge-center/cloudformation-template-validation, and
those of parameters as users saw them: https://github.com/hashicorp/terraform/issues/5560 and
https://github.com/aws-samples/amazon-ec2-image-builder-samples/issues/18
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from rehearse.errors import TemplateError, unmet

# ${Name} and ${Name.Attribute} in Fn::Sub; ${!Literal} is text.
VARIABLE = re.compile(r"\$\{([^!}.]+)[^}]*\}")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
TYPE = re.compile(r"(AWS|Alexa|Custom)::.+|[A-Za-z0-9]+::.+::.+")


def check_name(name: str) -> None:
    """Refuse the name of a new stack; raise TemplateError."""
    if not STACK_NAME.fullmatch(name) or len(name) > 128:
        pattern = f"satisfy regular expression pattern: {STACK_NAME.pattern}"
        raise TemplateError(unmet(name, "stackName", pattern))


def check(template: Any, parameters: Mapping[str, Any]) -> None:
    """Refuse a template, or the parameters given for it; raise TemplateError."""
    if not isinstance(template, dict):
        raise TemplateError("Template format error: unsupported structure.")
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    _check_types(resources)
    # What a macro makes of a template is not known.
    if "Transform" not in template:
        _check_references(template, resources)
    _check_parameters(template.get("Parameters") or {}, parameters)


def _check_types(resources: Mapping[str, Any]) -> None:
    unknown = set()
    for name, resource in resources.items():
        if not isinstance(resource, dict) or "Type" not in resource:
            raise TemplateError(
                f"Template format error: [/Resources/{name}] Every Resources object must "
                "contain a Type member."
            )
        if not TYPE.fullmatch(str(resource["Type"])):
            unknown.add(str(resource["Type"]))
    if unknown:
        raise TemplateError(
            f"Template format error: Unrecognized resource types: [{', '.join(sorted(unknown))}]"
        )


def _check_references(template: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    """Refuse references to what is not there, and resources that wait for each other."""
    known = {*resources, *(template.get("Parameters") or {})}
    needs = {name: set(_references(resource)) for name, resource in resources.items()}
    shown = set(_references(template.get("Outputs") or {}))
    for block, names in (("Resources", set().union(*needs.values())), ("Outputs", shown)):
        if missing := sorted(name for name in names - known if not name.startswith("AWS::")):
            raise TemplateError(
                f"Template format error: Unresolved resource dependencies "
                f"[{', '.join(missing)}] in the {block} block of the template"
            )
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        around = ", ".join(sorted(set(error.args[1])))
        raise TemplateError(f"Circular dependency between resources: [{around}]") from error


def _references(part: Any) -> Iterator[str]:
    """Yield the names that Ref, GetAtt, Sub and DependsOn mention."""
    if isinstance(part, list):
        for each in part:
            yield from _references(each)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        match key, value:
            case "Ref", str():
                yield value
            case "Fn::GetAtt", [str() as name, *_]:
                yield name
            case "Fn::GetAtt", str():
                yield value.partition(".")[0]
            case "Fn::Sub", str():
                yield from VARIABLE.findall(value)
            case "Fn::Sub", [str() as text, dict() as own]:
                yield from (name for name in VARIABLE.findall(text) if name not in own)
                yield from _references(own)
            case "DependsOn", str() | list():
                yield from [value] if isinstance(value, str) else value
            case _:
                yield from _references(value)


def _check_parameters(declared: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [
        name
        for name, parameter in declared.items()
        if given.get(name) is None and "Default" not in parameter
    ]
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in given.items():
        allowed = declared[name].get("AllowedValues")
        if allowed and str(value) not in map(str, allowed):
            raise TemplateError(
                f"Parameter '{name}' must be one of AllowedValues: {', '.join(map(str, allowed))}"
            )
