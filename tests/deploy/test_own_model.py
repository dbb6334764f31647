"""Test own_model.py from a checkpoint to an answer, and the deletion of all that it made."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from deploy import archives
from tests.deploy.conftest import IMAGE, Account
from tests.deploy.test_flows import ask, variant
from tests.rehearse.rehearsal import archive

BUCKET = "sagemaker-us-east-1-123456789012"
NAME = ("--name", "reviews", "--wait", "0")


def failed(account: Account, *arguments: str) -> list[str]:
    """Return the lines on stderr of a run that must fail; the last ones are its own."""
    process = account.start(sys.executable, "deploy/own_model.py", *arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert out == ""
    assert "Traceback" not in err
    return err.splitlines()


def container(account: Account, name: str = "reviews") -> dict[str, Any]:
    """Return the container of a model as the platform knows it."""
    found = account.rehearsal.client("sagemaker").describe_model(ModelName=name)
    return dict(found["PrimaryContainer"])


def kept(account: Account) -> list[str]:
    """Return the names of all buckets, and of the roles that own_model.py made."""
    iam, s3 = account.rehearsal.client("iam"), account.rehearsal.client("s3")
    roles = [each["RoleName"] for each in iam.list_roles()["Roles"]]
    marked = [name for name in roles if iam.list_role_tags(RoleName=name)["Tags"]]
    return [each["Name"] for each in s3.list_buckets()["Buckets"]] + marked


def delete(account: Account, *arguments: str) -> str:
    """Delete everything, and check that nothing is left."""
    told = account.run("delete.py", "reviews", "--yes", *arguments)
    assert kept(account) == []
    return told


def test_a_checkpoint_is_packed_deployed_asked_and_deleted(
    account: Account, checkpoint: Path
) -> None:
    arguments = [str(checkpoint), *NAME, "--image", IMAGE, "--env", "LOG_LEVEL=warning"]
    process = account.start(sys.executable, "deploy/own_model.py", *arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert json.loads(out)["predicted_label"] in (-1, 0, 1)
    assert err.splitlines()[-1] == "to delete all of it: python deploy/delete.py reviews --yes"
    config = {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    assert variant(account, "reviews")["CurrentServerlessConfig"] == config
    assert container(account) == {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{BUCKET}/reviews/model.tar.gz",
        "Environment": {
            "MEMORY_SIZE_IN_MB": "1024",
            "ENDPOINT_NAME": "reviews",
            "LOG_LEVEL": "warning",
        },
    }
    policy = account.rehearsal.client("iam").get_role_policy(
        RoleName="reviews-endpoint", PolicyName="endpoint"
    )["PolicyDocument"]
    allowed = {each["Sid"]: each["Resource"] for each in policy["Statement"]}
    assert allowed["ReadTheModel"] == f"arn:aws:s3:::{BUCKET}/*"
    assert allowed["PullTheImage"].endswith(":repository/sagemaker-serverless-sentiment")
    told = delete(account)
    for what in ("endpoint reviews", "archive s3://", "bucket ", "role reviews-endpoint"):
        assert what in told


def test_an_archive_goes_with_the_image_that_was_pushed_last(
    account: Account, packed: Path, tmp_path: Path
) -> None:
    ecr = account.rehearsal.client("ecr")
    name = "sagemaker-serverless-sentiment"
    ecr.create_repository(repositoryName=name)
    ecr.put_image(repositoryName=name, imageManifest=json.dumps(MANIFEST), imageTag="0.1.0-slim")
    (tmp_path / "model.tar.gz").write_bytes(archive(packed))
    role, s3 = account.role(), account.rehearsal.client("s3")
    # Of another archive in the same bucket, and of a role that was given, nothing is deleted.
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="other/model.tar.gz", Body=b"")
    given = ["--bucket", "mine", "--role", role, "--memory", "2048", "--text", "good"]
    try:
        out = account.run("own_model.py", str(tmp_path / "model.tar.gz"), *NAME, *given)
        assert json.loads(out)["predicted_label"] == ask(account, "reviews", "good")
        found = container(account)
        assert found["Image"] == IMAGE
        assert found["Environment"]["MEMORY_SIZE_IN_MB"] == "2048"
        assert variant(account, "reviews")["CurrentServerlessConfig"]["MemorySizeInMB"] == 2048

        again = failed(account, str(packed), *NAME, "--image", IMAGE)
        assert again[-1].startswith("own_model.py: the Endpoint reviews is there already")

        account.run("delete.py", "reviews", "--yes")
        (left,) = s3.list_objects_v2(Bucket="mine")["Contents"]
        assert left["Key"] == "other/model.tar.gz"
        assert account.role() == role
    finally:
        ecr.delete_repository(repositoryName=name, force=True)
        s3.delete_object(Bucket="mine", Key="other/model.tar.gz")
        s3.delete_bucket(Bucket="mine")


# https://distribution.github.io/distribution/spec/manifest-v2-2/
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "x", "size": 1, "digest": "sha256:" + "0" * 64},
    "layers": [],
}


def test_a_failure_half_way_says_what_was_made_and_how_to_delete_it(
    account: Account, tmp_path: Path
) -> None:
    """An archive that holds no model is found by the container, which ends at once if eager."""
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("config.json"), io.BytesIO())
    arguments = [str(tmp_path / "model.tar.gz"), *NAME, "--image", IMAGE, "--bucket", "elsewhere"]
    arguments += ["--env", "MODEL_LOAD=eager"]
    *_, why, made = failed(account, *arguments)
    assert why.startswith("own_model.py: the endpoint reviews has failed: ")
    made, deletion = made.split("; to delete it: ")
    assert made == (
        "made before that: bucket elsewhere, s3://elsewhere/reviews/model.tar.gz, "
        "role reviews-endpoint, model reviews, configuration reviews, endpoint reviews"
    )
    assert deletion == "python deploy/delete.py reviews --yes --bucket elsewhere"
    delete(account, "--bucket", "elsewhere")


def test_what_was_made_before_a_model_is_deleted_too(account: Account, packed: Path) -> None:
    arguments = [str(packed), *NAME, "--image", IMAGE, "--max-concurrency", "1000"]
    # The model is there by then; a user might have deleted it by hand.
    made = failed(account, *arguments)[-1]
    assert "model reviews; to delete it" in made
    account.rehearsal.client("sagemaker").delete_model(ModelName="reviews")
    assert "would delete archive" in account.run("delete.py", "reviews")
    delete(account)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("nowhere", "nowhere is not there: name a checkpoint, what pack-model wrote, or ORG/NAME"),
        ("README.md", "README.md is not a model.tar.gz: not a gzip file"),
        ("deploy", "deploy cannot be packed; the reason is above"),
        ("models/clothing-sentiment", "there is no image in the repository"),
    ],
)
def test_what_cannot_be_deployed_is_refused_before_anything_is_made(
    model: str, why: str, account: Account
) -> None:
    lines = failed(account, model, *NAME)
    assert lines[-1].startswith(f"own_model.py: {why}")
    assert kept(account) == []


def test_an_id_of_the_hub_is_passed_to_pack_model(account: Account) -> None:
    """Which says what it can do with it; the Hub is not asked here."""
    offline = Account(account.rehearsal, {**account.environment, "HF_HUB_OFFLINE": "1"})
    lines = failed(offline, "nobody/nothing", *NAME, "--image", IMAGE)
    assert any(line.startswith("pack-model: ") and "nobody/nothing" in line for line in lines)
    assert lines[-1] == "own_model.py: nobody/nothing cannot be packed; the reason is above"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["x", "--name", "my_reviews"], "use up to 63 letters and digits, and hyphens within"),
        (["x", "--name", "reviews", "--env", "DEBUG"], "'DEBUG' is not NAME=VALUE"),
        (["x", "--name", "reviews", "--memory", "1000"], "invalid choice: 1000"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], why: str, module_account: Account) -> None:
    process = module_account.start(sys.executable, "deploy/own_model.py", *arguments)
    assert why in process.communicate()[1]
    assert process.returncode == 2


def test_an_archive_holds_what_the_manifest_names_and_own_code_readable_by_all(
    packed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    subprocess.run(["cp", "-r", packed, folder], check=True)
    (folder / ".env").write_text("SECRET=1")
    (folder / "code" / "__pycache__").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text("")
    (folder / "code" / "inference.py").chmod(0o600)
    with tarfile.open(archives.find(str(folder), tmp_path)) as tar:
        modes = {each.name: each.mode for each in tar.getmembers()}
    expected = {path.name for path in packed.iterdir()} | {"code", "code/inference.py"}
    assert set(modes) == expected
    assert modes["code/inference.py"] == 0o644
    unpacked, is_packed = archives.look_into(tmp_path / "model.tar.gz")
    assert is_packed
    assert unpacked == sum(path.stat().st_size for path in packed.iterdir())


@pytest.mark.parametrize(("megabytes", "size"), [(40, 1024), (624, 1024), (625, 2048)])
def test_memory_is_the_least_that_the_model_fits(megabytes: int, size: int) -> None:
    assert archives.memory(megabytes << 20) == size


def test_a_model_that_no_memory_size_fits_is_refused() -> None:
    with pytest.raises(archives.Refused, match="needs about 6,400 MB"):
        archives.memory(6000 << 20)
