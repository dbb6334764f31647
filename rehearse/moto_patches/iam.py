"""Let moto's IAM say whether a role may do something: it may, as rights are not checked here."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse


def patch_iam() -> None:
    """Add SimulatePrincipalPolicy, which SageMaker's SDK 3 asks before it trains with a role.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """

    def simulate_principal_policy(response: Any) -> ActionResult:
        results = [
            {"EvalActionName": name, "EvalResourceName": "*", "EvalDecision": "allowed"}
            for name in response._get_param("ActionNames")
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    IamResponse.simulate_principal_policy = simulate_principal_policy  # type: ignore[attr-defined]  # added
