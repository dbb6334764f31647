"""Change a stack as CloudFormation does: a resource that fails rolls the stack back.

A resource that is updated adds how its update is undone, and what is left to do once the whole
stack is updated. One stack is changed at a time.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from rehearse.errors import UpdateFailed
from rehearse.moto_patches.cloudformation import StackState, add_event, delete_resources

if TYPE_CHECKING:
    from moto.cloudformation.models import Stack

P = ParamSpec("P")
R = TypeVar("R")
Step = Callable[[], Any]
# Every change replaces these, so what refers to them changes, too.
REPLACED_TYPES = ("AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig")
# What refers to another comes after it; resources of other types come first.
ORDER = (*REPLACED_TYPES, "AWS::SageMaker::Endpoint")

UPDATING = threading.RLock()
_undo: list[Step] = []
_finish: list[Step] = []


def add_update(undo: Step, finish: Step | None = None) -> None:
    """Note an update that has been made: how to undo it, and what is left to do at the end."""
    _undo.append(undo)
    if finish:
        _finish.append(finish)


def without_retries(update: Callable[P, R]) -> Callable[P, R]:
    """Raise UpdateFailed for whatever an update raises, so that moto does not try it again."""

    @wraps(update)
    def tried(*given: P.args, **named: P.kwargs) -> R:
        try:
            return update(*given, **named)
        except Exception as error:  # whatever it is
            raise UpdateFailed(getattr(error, "message", None) or str(error)) from error

    return tried


def attempt(stack: Stack, verb: str, work: Callable[[], None]) -> bool:
    """Do the work of a "CREATE" or an "UPDATE", and return whether it has succeeded.

    Where it has not, the call does not fail, the stack does: an update leaves it as it was.
    """
    before = StackState(stack)
    with UPDATING:
        _undo.clear()
        _finish.clear()
        try:
            work()
        except (Exception, UpdateFailed) as error:  # whatever it is, the stack says why
            if verb == "UPDATE":
                for step in reversed(_undo):
                    step()
                before.restore()
            _fail(stack, verb, error)
            return False
        for step in _finish:
            step()
        stack.stack_status_reason = None  # type: ignore[attr-defined]  # as below
        return True


def _fail(stack: Stack, verb: str, error: BaseException) -> None:
    """Give a stack the status and the events of a failure, and delete what was created.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
    """
    reason = getattr(error, "message", None) or str(error)
    if isinstance(error, KeyError):
        reason = f"The property {reason} is missing."
    add_event(stack, f"{verb}_FAILED", reason)
    stack.stack_status_reason = reason  # type: ignore[attr-defined]  # for DescribeStacks
    if verb == "CREATE":
        delete_resources(stack)
    stack.status = "ROLLBACK_COMPLETE" if verb == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
    add_event(stack, stack.status)


def with_referring(found: dict[str, Any], resources: dict[str, Any]) -> dict[str, Any]:
    """Add to "Modify" what refers to a resource that will be replaced, in the order of ORDER."""
    changed = set(found["Modify"])
    for kind in REPLACED_TYPES:
        for name in [each for each in changed if resources[each]["Type"] == kind]:
            changed |= {
                other
                for other, resource in resources.items()
                if other not in found["Add"]
                and resource["Type"] in ORDER
                and _mentions(resource, name)
            }
    return {**found, "Modify": sorted(changed, key=lambda name: _rank(resources[name]["Type"]))}


def _mentions(resource: dict[str, Any], name: str) -> bool:
    """Return whether Ref, GetAtt or Sub name it; a property that is called so does no harm."""
    text = json.dumps(resource.get("Properties", {}), default=str)
    return re.search(rf"(?<![A-Za-z0-9]){name}(?![A-Za-z0-9])", text) is not None


def _rank(kind: str) -> int:
    return ORDER.index(kind) if kind in ORDER else -1
