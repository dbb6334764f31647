"""Be somebody in the rehearsal's account: clients act in an execution role, as a notebook does.

get_execution_role() of SageMaker's SDKs takes the role from GetCallerIdentity, and asks IAM for it.
"""

from __future__ import annotations

import json

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

# Named as the console of SageMaker names the roles that it makes:
# https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
ROLE, PATH = "AmazonSageMaker-ExecutionRole-rehearsal", "/service-role/"
SESSION = "SageMaker"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def assume_role(access_key: str, region: str) -> None:
    """Create the execution role, and let this access key be a session of it."""
    partition = get_partition(region)
    role = iam_backends[DEFAULT_ACCOUNT_ID][partition].create_role(
        role_name=ROLE,
        assume_role_policy_document=json.dumps(TRUST),
        path=PATH,
        permissions_boundary=None,
        description="The execution role of the rehearsal",
        tags=[],
        max_session_duration=None,
    )
    session = sts_backends[DEFAULT_ACCOUNT_ID][partition].assume_role(
        region_name=region,
        role_session_name=SESSION,
        role_arn=role.arn,
        policy="",
        duration=3600,
        external_id="",
    )
    session.access_key_id = access_key
