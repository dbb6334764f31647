"""Run what the README and the pages on deploying show, with the versions that they name."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.deploy.conftest import Account, output
from tests.test_docs import table

README = (ROOT / "README.md").read_text()
REHEARSE = (ROOT / "docs" / "rehearse.md").read_text()
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
CONSTRAINTS = (ROOT / "requirements" / "constraints.txt").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.fixture
def shell(account: Account, tmp_path: Path) -> Account:
    """Give an account whose PATH has `python` and `rehearse`."""
    port = account.rehearsal.url.rsplit(":", 1)[1]
    programs = {"python": "", "rehearse": f"-m rehearse $1 --port {port} # "}
    for name, options in programs.items():
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {options}"$@"\n')
        path.chmod(0o755)
    search = f"{tmp_path}:{os.environ['PATH']}"
    python = {"PATH": search, "PYTHONPATH": str(ROOT)}
    return Account(account.rehearsal, {**account.environment, **python})


def test_five_minutes_as_they_stand(shell: Account) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", REHEARSE, re.S)
    shown = json.loads(re.findall(r"```json\n(.*?)```", REHEARSE, re.S)[0])
    first, *rest = (output(shell.start("bash", "-euc", block)) for block in blocks)
    assert json.loads(first)["predicted_label"] == shown["predicted_label"]
    assert json.loads(first)["probability"] == pytest.approx(shown["probability"], abs=0.02)
    asked, changed = rest
    assert '"predicted_label": -1' in asked
    assert re.search(r"sentiment +AllTraffic +2 ", asked)
    assert "deleting endpoint sentiment" in changed


def test_a_model_of_one_s_own_is_rehearsed_as_the_readme_has_it(
    shell: Account, packed: Path
) -> None:
    (block,) = re.findall(r"```bash\n([^`]*own_model[^`]*)```", README)
    said = output(shell.start("bash", "-euc", block.replace("my-model", str(packed))))
    first, second, *bill = said.splitlines()
    assert {"probability", "predicted_label"} == set(json.loads(first)) == set(json.loads(second))
    assert any(re.match(r"reviews +AllTraffic +2 ", line) for line in bill)
    assert "deleting role reviews-endpoint" in said


def test_a_deployment_is_made_changed_and_deleted_as_the_page_has_it(shell: Account) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", DEPLOY, re.S)
    made, changed, deleted = (output(shell.start("bash", "-euc", block)) for block in blocks)
    assert json.loads(made)["predicted_label"] == 1
    assert changed.count("sentiment is in service") == 3
    assert "would delete endpoint sentiment" in deleted
    assert "deleting endpoint sentiment" in deleted


def test_the_page_s_boto3_runs_as_it_stands(shell: Account) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", DEPLOY, re.S)
    found = json.loads(output(shell.start("python", "-c", script)))
    assert found["predicted_label"] == 1
    output(shell.start("python", "deploy/delete.py", "sentiment", "--yes"))


def test_every_script_is_told_with_the_version_that_is_run() -> None:
    rows = table(DEPLOY, "script | way")
    named = {re.findall(r"\((?:\.\./)(deploy/[^)]*)\)", row[0])[0] for row in rows}
    parts = {"deploy/__init__.py", "deploy/archives.py"}
    parts |= {"deploy/endpoint-config.json", "deploy/model.json"}
    assert named | parts == {
        str(path.relative_to(ROOT)) for path in (ROOT / "deploy").iterdir() if path.is_file()
    }
    for row in rows:
        for each in row[2].split(", "):
            package, version = map(re.escape, each.split())  # npm has "@" where pip has "=="
            pinned = rf"(^| ){package}(==|@){version}( |$)"
            assert re.search(pinned, CONSTRAINTS + MAKEFILE, re.M), each
