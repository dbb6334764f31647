"""Deploy your own model: from a checkpoint to the first answer of a serverless endpoint.

    own_model.py my-checkpoint --name reviews    packs it first, which needs the extra `compress`
    own_model.py ORG/NAME --name reviews         the same with a checkpoint of the Hugging Face Hub
    own_model.py my-model --name reviews         a folder that pack-model wrote
    own_model.py model.tar.gz --name reviews     its archive

To pack with options (--validate, --max-length, ...), run pack-model first. All that is made is
tagged, so that `delete.py NAME --yes` finds all of it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

if not __package__:  # run as a file: what is imported lies in the root, not beside it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from deploy import archives, role
from deploy.archives import Refused
from deploy.client import Endpoint
from platform_facts import MEMORY_SIZES_MB

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class Deployment:
    """One endpoint with all that belongs to it; `made` lists what has been made so far."""

    def __init__(self, name: str, bucket: str | None) -> None:
        self.name = name
        self.made: list[str] = []
        self.session = boto3.Session()
        self.client = self.session.client("sagemaker")
        self.place = archives.Place.of(self.session, name, bucket)
        self.deletion = f"python deploy/delete.py {name} --yes"
        if bucket:
            self.deletion += f" --bucket {bucket}"

    def check_free(self) -> None:
        """Refuse a name that is in use, before anything of that endpoint is overwritten."""
        for kind in ("Endpoint", "EndpointConfig", "Model"):
            describe = getattr(self.client, f"describe_{kind.replace('tC', 't_c').lower()}")
            try:
                describe(**{f"{kind}Name": self.name})
            except ClientError as error:
                # The code for what does not exist; its message begins with "Could not find".
                if error.response["Error"]["Code"] != "ValidationException":
                    raise
            else:
                raise Refused(
                    f"the {kind} {self.name} is there already: take another --name, or delete it "
                    f"first: {self.deletion}"
                )

    def image(self, packed: bool) -> str:
        """Return the URI of the image that was pushed last; only `full` serves checkpoints."""
        client = self.session.client("ecr")
        kind = "slim" if packed else "full"
        found = []
        try:
            (repository,) = client.describe_repositories(repositoryNames=[role.REPOSITORY])[
                "repositories"
            ]
            pages = client.get_paginator("describe_images").paginate(repositoryName=role.REPOSITORY)
            for page in pages:
                for each in page["imageDetails"]:
                    tags = [tag for tag in each.get("imageTags", ()) if packed or kind in tag]
                    found += [(each["imagePushedAt"], tag) for tag in tags]
        except client.exceptions.RepositoryNotFoundException:
            pass
        if not found:
            raise Refused(
                f"there is no image in the repository {role.REPOSITORY} of this account: push one "
                f"with ./build.sh push --target {kind}, or name one with --image"
            )
        return f"{repository['repositoryUri']}:{max(found)[1]}"

    def role(self, image: str, wait: float) -> str:
        """Make a role that may pull this image and read this bucket, and return its ARN."""
        repository = re.sub(r"[:@].*", "", image.partition("/")[2] or image)
        name = role.name_for(self.name)
        arn = role.make(name, repository, self.place.bucket, wait, archives.tags())
        self.made.append(f"role {name}")
        return arn

    def start(self, container: Mapping[str, Any], arn: str, serverless: Mapping[str, int]) -> None:
        """Make model, configuration and endpoint, and wait until the endpoint is in service."""
        name = self.name
        self.client.create_model(ModelName=name, ExecutionRoleArn=arn, PrimaryContainer=container)
        self.made.append(f"model {name}")
        variant = {"VariantName": "AllTraffic", "ModelName": name, "ServerlessConfig": serverless}
        self.client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        self.made.append(f"configuration {name}")
        self.client.create_endpoint(EndpointName=name, EndpointConfigName=name)
        self.made.append(f"endpoint {name}")
        try:
            self.client.get_waiter("endpoint_in_service").wait(EndpointName=name)
        except BotoCoreError:
            found = self.client.describe_endpoint(EndpointName=name)
            if "FailureReason" not in found:
                raise
            raise Refused(f"the endpoint {name} has failed: {found['FailureReason']}") from None

    def ask(self, text: str) -> str:
        """Return the answer to one text, in the form that every model and your own code take."""
        answer = Endpoint(self.name).invoke(
            Body=json.dumps({"inputs": text}),
            ContentType="application/json",
            Accept="application/json",
        )
        return str(answer["Body"].read().decode()).strip()


def deploy(deployment: Deployment, given: argparse.Namespace) -> None:
    """Deploy the model and ask it; nothing is made before archive and image are found."""
    deployment.check_free()
    with tempfile.TemporaryDirectory() as folder:
        archive = archives.find(given.model, Path(folder))
        unpacked, packed = archives.look_into(archive)
        memory = given.memory or archives.memory(unpacked)
        image = given.image or deployment.image(packed)
        say(f"upload {archive.stat().st_size / 1e6:.0f} MB to {deployment.place.url}")
        deployment.place.put(archive, deployment.made.append)
    arn = given.role or deployment.role(image, given.wait)
    # The platform tells a container neither its memory size nor the name of its endpoint.
    told = {"MEMORY_SIZE_IN_MB": str(memory), "ENDPOINT_NAME": given.name, **dict(given.env)}
    say(f"start the endpoint {given.name} with {memory} MB; this takes some minutes")
    deployment.start(
        {"Image": image, "ModelDataUrl": deployment.place.url, "Environment": told},
        arn,
        {"MemorySizeInMB": memory, "MaxConcurrency": given.max_concurrency},
    )
    print(deployment.ask(given.text))
    say(f"to delete all of it: {deployment.deletion}")


def say(step: str) -> None:
    """Show progress on stderr; the answer alone goes to stdout."""
    print(step, file=sys.stderr)


def variable(text: str) -> tuple[str, str]:
    """Read NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def endpoint_name(text: str) -> str:
    """Read a name that the platform takes."""
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("use up to 63 letters and digits, and hyphens within")
    return text


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Deploy your own model, serverless, and ask it.")
    add = parser.add_argument
    add("model", help="a checkpoint, what pack-model wrote, its archive, or ORG/NAME of the Hub")
    add("--name", required=True, type=endpoint_name, help="of the endpoint and all that it needs")
    add("--image", help="URI; default: the image that was pushed last to this account's ECR")
    add(
        "--memory",
        type=int,
        choices=MEMORY_SIZES_MB,
        metavar="MB",
        help="1024 to 6144; default: the least that the model fits, mostly 1024",
    )
    add("--max-concurrency", type=int, default=5, help="containers at most (default: %(default)s)")
    add("--role", help="ARN of an execution role; default: one is made for this endpoint")
    add("--bucket", help="of the archive, made if missing; default: sagemaker-REGION-ACCOUNT")
    add("--env", type=variable, action="append", default=[], metavar="NAME=VALUE", help="a setting")
    add("--text", default="I love this product!", help="what it is asked (default: %(default)s)")
    add("--wait", type=float, default=10, help="seconds for a new role (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Deploy, or say what is wrong, what was made before that, and how to delete it."""
    given = arguments()
    deployment = None
    try:
        deployment = Deployment(given.name, given.bucket)
        deploy(deployment, given)
    except (Refused, Boto3Error, BotoCoreError, ClientError, OSError, KeyboardInterrupt) as error:
        say(f"own_model.py: {' '.join(str(error).split()) or 'interrupted'}")
        if deployment and deployment.made:
            made = ", ".join(deployment.made)
            say(f"made before that: {made}; to delete it: {deployment.deletion}")
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
