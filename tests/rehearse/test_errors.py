"""The tree of errors is drawn whole, and every InvocationError has an answer of the platform."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from rehearse import errors
from rehearse.data_plane.invoke_endpoint import error_response
from rehearse.errors import InvocationError, ModelError, Oversize, RehearsalError, Throttled
from tests.conftest import ROOT

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e"


def below(root: type[BaseException], depth: int = 0) -> Iterator[tuple[int, str]]:
    """Yield depth and name of a class, and of each one below it in the order of the module."""
    yield depth, root.__name__
    for each in root.__subclasses__():
        yield from below(each, depth + 1)


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"^((?:[|` ] {0,2}-? ?)*)([A-Z]\w+)(?=\n|  )", errors.__doc__ or "", re.M)
    found = [(len(indent) // 3, name) for indent, name in drawn]
    assert found[:-1] == list(below(RehearsalError))
    assert found[-1] == (0, errors.UpdateFailed.__name__)


def test_no_error_is_defined_elsewhere() -> None:
    known = {name for name in vars(errors) if name[0].isupper()}
    for path in (ROOT / "rehearse").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and path.name != "errors.py":
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                assert not bases & (known | {"Exception", "BaseException"}), path


MADE = {Throttled: Throttled(1), Oversize: Oversize(), ModelError: ModelError(400, "no", "no")}


@pytest.mark.parametrize("kind", InvocationError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_an_invocation_error_has_an_answer_of_its_own(kind: type[InvocationError]) -> None:
    if kind is errors.VariantReplaced:
        return  # the variant that has taken its place answers
    found = error_response(MADE.get(kind) or kind("why"), ARN)
    assert found.headers["x-amzn-errortype"] != "InternalFailure"
