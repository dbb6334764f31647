"""The notebook of examples/ runs to its end in a rehearsal, and leaves an empty account."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.deploy.conftest import Account, output, program

NOTEBOOK = ROOT / "examples" / "reviews.ipynb"


def read(path: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook."""
    return list(json.loads(path.read_text())["cells"])


def printed(cell: dict[str, Any]) -> str:
    """Return what a cell shows: its streams, and its value as text."""
    found = (
        each.get("text") or each.get("data", {}).get("text/plain", "") for each in cell["outputs"]
    )
    return "".join("".join(text) for text in found)


@pytest.fixture(scope="module")
def shown(
    module_account: Account, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Run the notebook with a tiny encoder; return what each cell shows, by its id."""
    execute = program("sdk_v2", "jupyter-execute")
    notebook = json.loads(NOTEBOOK.read_text())
    (place,) = [
        place
        for place, cell in enumerate(notebook["cells"])
        if "parameters" in cell["metadata"].get("tags", [])
    ]
    port = module_account.rehearsal.url.rpartition(":")[2]
    chosen = {"model_name_or_path": str(checkpoint), "epochs": 1, "max_length": 16}
    notebook["cells"].insert(
        place + 1,
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "chosen",
            "metadata": {},
            "outputs": [],
            "source": f"engine, port, hyperparameters = 'process', {port}, {chosen}",
        },
    )
    path = tmp_path_factory.mktemp("notebook") / NOTEBOOK.name
    path.write_text(json.dumps(notebook))
    # A cell runs `rehearse`, which is installed beside this Python.
    search = f"{Path(sys.executable).parent}:{module_account.environment['PATH']}"
    here = replace(module_account, environment={**module_account.environment, "PATH": search})
    output(here.start(execute, "--inplace", str(path)))
    return {cell["id"]: printed(cell) for cell in read(path) if cell["cell_type"] == "code"}


def test_it_is_kept_without_outputs() -> None:
    """They have times and names of jobs, which differ from run to run."""
    cells = [cell for cell in read(NOTEBOOK) if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    assert [cell["execution_count"] for cell in cells] == [None] * len(cells)


def test_it_trains_and_shows_the_metrics(shown: dict[str, str]) -> None:
    assert "294 examples with the labels -1, 0, 1" in shown["train"]
    assert "Training job completed" in shown["train"]
    assert "validation:macro_f1" in shown["training-metrics"]


def test_it_deploys_from_the_registry_and_asks(shown: dict[str, str]) -> None:
    assert ":model-package/reviews/1" in shown["register"]
    assert shown["ask"].count("predicted_label") == 3
    assert shown["ask-one-by-one"].count("predicted_label") == 3


def test_it_shows_what_cloudwatch_and_the_bill_count(shown: dict[str, str]) -> None:
    # Two figures where an hour has ended between the calls.
    assert sum(map(float, re.findall(r"Invocations Sum (\S+)", shown["watch"]))) == 4
    assert "ModelLatency Average" in shown["watch"]
    assert "reviews" in shown["bill"]
    assert "List prices of us-east-1" in shown["bill"]


def test_it_recommends_a_memory_size(shown: dict[str, str]) -> None:
    assert "Recommended: " in shown["size"]


def test_it_leaves_an_empty_account(shown: dict[str, str], module_account: Account) -> None:
    assert shown["clean-up"].splitlines()[-1] == "[]"
    assert module_account.left() == []
    sagemaker = module_account.rehearsal.client("sagemaker")
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
    (bucket,) = module_account.rehearsal.client("s3").list_buckets()["Buckets"]
    found = module_account.rehearsal.client("s3").list_objects_v2(Bucket=bucket["Name"])
    assert found["KeyCount"] == 0
    groups = module_account.rehearsal.client("logs").describe_log_groups()["logGroups"]
    assert [each["logGroupName"] for each in groups] == ["/aws/sagemaker/TrainingJobs"]
