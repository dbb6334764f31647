"""Compare what the documents say about metrics, errors, settings and modules with the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from serve import errors
from serve.metrics import NAMESPACE
from serve.settings import Settings
from tests.conftest import BLOG, BUNDLED, ROOT, packed_as
from tests.serve import emf
from tests.serve.logged import Line, serving

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]
SETTINGS = (DOCS / "settings.md").read_text()
OPERATIONS = (DOCS / "operations.md").read_text()
DASHBOARD = (DOCS / "dashboard.json").read_text()
ALARMS = (DOCS / "alarms.jsonl").read_text()
# AWS calls these lists exhaustive for serverless endpoints; the names are those of the second page:
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html
# https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
PLATFORM = {
    "AWS/SageMaker": {
        "Invocations",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "ModelLatency",
        "ModelSetupTime",
        "OverheadLatency",
        "ServerlessConcurrentExecutionsUtilization",
        "ServerlessProvisionedConcurrencyExecutions",
        "ServerlessProvisionedConcurrencyInvocations",
        "ServerlessProvisionedConcurrencySpilloverInvocations",
        "ServerlessProvisionedConcurrencyUtilization",
    },
    "/aws/sagemaker/Endpoints": {"MemoryUtilization"},
}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
INSIGHTS = set("filter fields stats sort limit display by as asc desc and or not in".split())


def table(document: str, head: str) -> list[list[str]]:
    """Return the cells of the table that begins with these columns, row by row."""
    (found,) = re.findall(rf"^\| {re.escape(head)}.*\n\|[-| :]+\n((?:\|.*\n)+)", document, re.M)
    return [[cell.strip() for cell in row.strip("|").split(" |")] for row in found.splitlines()]


def blocks(kind: str) -> list[str]:
    """Return the code blocks of one kind in the document on operations."""
    return re.findall(rf"```{kind}\n(.*?)```", OPERATIONS, re.S)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    """Return all log lines of a server, with an endpoint's name in its metrics."""
    with serving(tmp_path_factory.mktemp("docs"), ENDPOINT_NAME="sentiment") as logged:
        logged.ask(BLOG, {"X-Amzn-SageMaker-Inference-Id": "order-7"})
        logged.ask(b"{}\n")
        logged.stop()
        return logged.lines()


@pytest.fixture(scope="module")
def of_values(tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    """Return all log lines of a server whose model answers with values."""
    folder = tmp_path_factory.mktemp("values")
    model = packed_as(folder / "model", BUNDLED, problem_type="regression")
    with serving(folder, ENDPOINT_NAME="fit", MODEL_DIR=str(model)) as logged:
        logged.ask(BLOG)
        logged.stop()
        return logged.lines()


@pytest.fixture(scope="module")
def emitted(written: list[Line], of_values: list[Line]) -> dict[str, tuple[str, set[str]]]:
    """Return unit and dimensions of each metric."""
    return {
        name: (unit, set(emf.dimensions(line)))
        for line in written + of_values
        if "_aws" in line
        for name, (_, unit) in emf.metrics(line).items()
    }


def test_the_table_of_errors_is_that_of_the_code() -> None:
    rows = [(int(row[0]), row[1].strip("`")) for row in table(OPERATIONS, "status | code")]
    assert rows == list(errors.STATUS.values())


def test_the_table_of_metrics_is_what_is_emitted(
    emitted: Mapping[str, tuple[str, set[str]]],
) -> None:
    rows = {
        row[0].strip("`"): (row[1], set(row[2].split(", ")))
        for row in table(OPERATIONS, "metric | unit | dimensions")
    }
    assert rows == emitted
    assert f"`{NAMESPACE}`" in OPERATIONS


def test_the_table_of_fields_is_what_a_line_has(written: list[Line], of_values: list[Line]) -> None:
    (line, _) = [each for each in written if each["event"] == "request"]
    fields = set(line) - {"_aws", *emf.metrics(line), *emf.dimensions(line)}
    assert [row[0].strip("`") for row in table(OPERATIONS, "field")] == [
        *(field for field in line if field in fields),
        "values",
    ]
    (other,) = [each for each in of_values if each["event"] == "request"]
    assert set(other) - set(line) == {"values"}
    assert set(line) - set(other) == {"labels", "confidence"}
    assert list(other["values"]) == ["-1", "0", "1"]
    (example,) = blocks("json")
    assert list(json.loads(example)) == [field for field in line if field in fields]


def queries() -> list[str]:
    widgets = json.loads(DASHBOARD)["widgets"]
    shown = [each["properties"]["query"] for each in widgets if each["type"] == "log"]
    return [*blocks("insights"), *shown]


@pytest.mark.parametrize("query", queries())
def test_queries_ask_for_fields_that_lines_have(query: str, written: list[Line]) -> None:
    query = re.sub(r"^SOURCE '[^']*' \|", "", query)
    names = {"@timestamp"}
    for line in written:
        names |= set(line) | {f"labels.{label}" for label in line.get("labels", {})}
    names |= set(re.findall(r" as (\w+)", query))
    words = re.sub(r"'[^']*'|\w+(?=\()|\b\d\w*\b(?!`)", "", query)  # texts, functions, numbers
    asked = set(re.findall(r"`([^`]+)`", words)) | set(
        re.findall(r"@?[a-z][\w.]*", re.sub(r"`[^`]*`", "", words))
    )
    assert asked - names - INSIGHTS == set()
    commands = [each.split()[0] for each in query.split("|")]
    assert set(commands) <= {"filter", "stats", "sort", "limit", "display"}


def shown() -> Iterator[list[Any]]:
    """Yield the metrics of the dashboard: namespace, name, dimensions, perhaps options."""
    for widget in json.loads(DASHBOARD)["widgets"]:
        yield from (
            row for row in widget["properties"].get("metrics", []) if isinstance(row[0], str)
        )


def watched() -> Iterator[Mapping[str, Any]]:
    """Yield the metrics of the alarms."""
    for alarm in map(json.loads, ALARMS.splitlines()):
        yield from (
            [alarm]
            if "MetricName" in alarm
            else (each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each)
        )


def test_the_dashboard_and_the_alarms_name_metrics_that_there_are(
    emitted: Mapping[str, tuple[str, set[str]]],
) -> None:
    used = [
        (row[0], row[1], set(row[2 : len(row) - len(row) % 2 : 2]))  # options come after pairs
        for row in shown()
    ]
    used += [
        (each["Namespace"], each["MetricName"], {one["Name"] for one in each["Dimensions"]})
        for each in watched()
    ]
    for namespace, name, dimensions in used:
        if namespace == NAMESPACE:
            assert emitted[name][1] == dimensions, name
        else:
            assert name in PLATFORM[namespace]
            assert dimensions == {"EndpointName", "VariantName"}
    # The dashboard has counts in the place of shares, and is that of a model with labels.
    assert set(emitted) - {"LabelShare", "MeanValue"} <= {name for _, name, _ in used}


def test_widgets_of_the_dashboard_do_not_overlap() -> None:
    cells = [
        (x, y)
        for each in json.loads(DASHBOARD)["widgets"]
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_table_of_alarms_is_that_of_the_file() -> None:
    alarms = [json.loads(line) for line in ALARMS.splitlines()]
    rows = [(row[0], row[1].split("`")[1]) for row in table(OPERATIONS, "alarm")]
    assert rows == [
        (alarm["AlarmName"].removeprefix("ENDPOINT-"), metric["MetricName"])
        for alarm, metric in zip(alarms, watched(), strict=True)
    ]


def test_slow_is_half_of_the_deadline() -> None:
    (slow,) = [each for each in watched() if each["MetricName"] == "ModelLatency"]
    assert slow["Threshold"] == Settings().deadline_seconds / 2 * 1e6  # microseconds
    assert f"over {Settings().deadline_seconds / 2} s" in OPERATIONS


# Replaces the AWS CLI: it makes the same calls with boto3.
CLI = f"""#!{sys.executable}
import json, re, sys
from pathlib import Path
import boto3

service, operation, *options = sys.argv[1:]
call = {{}}
for name, value in zip(options[::2], options[1::2], strict=True):
    if value.startswith("file://"):
        value = Path(value.removeprefix("file://")).read_text()
    if name == "--cli-input-json":
        call |= json.loads(value)
    else:
        call["".join(map(str.capitalize, name.strip("-").split("-")))] = value
getattr(boto3.client(service), operation.replace("-", "_"))(**call)
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[dict[str, str]]:
    """Give the variables of a local moto, which checks the calls that it gets."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    server.stop()


def test_the_alarms_and_the_dashboard_are_made_by_the_commands_as_they_stand(
    cloud: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aws").write_text(CLI)
    (tmp_path / "aws").chmod(0o755)
    for name, value in {**cloud, "PATH": f"{tmp_path}:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)
    for script in (block for block in blocks("bash") if "aws cloudwatch" in block):
        script = script.replace("/tmp/dashboard.json", str(tmp_path / "dashboard.json"))
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, check=True)
    import boto3

    client = boto3.client("cloudwatch")
    alarms = client.describe_alarms()["MetricAlarms"]
    assert len(alarms) == len(ALARMS.splitlines())
    made = (
        json.dumps(alarms, default=str)
        + client.get_dashboard(DashboardName="sentiment")["DashboardBody"]
    )
    assert made.count('"sentiment"') > 20
    assert not re.search("ENDPOINT|TOPIC|REGION", made)


@pytest.mark.parametrize("script", blocks("bash"))
def test_a_block_for_the_shell_is_one_for_the_shell(script: str) -> None:
    subprocess.run(["bash", "-n", "-c", script], check=True)


def test_the_page_of_settings_lists_every_one() -> None:
    asked = set()

    class Environment(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return super().get(name, default)

    Settings.from_environment(Environment())
    # The platform sets these itself; the page tells of them below the table.
    platform = {"SAGEMAKER_BATCH", "SAGEMAKER_MAX_PAYLOAD_IN_MB"}
    rows = {row[0].strip("`") for row in table(SETTINGS, "variable | default | meaning")}
    assert rows == asked - platform
    assert all(f"`{name}`" in SETTINGS for name in platform)


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\(([^)#\s:]*(?:#[^)]*)?)\)", text):
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", path.read_text().lower(), re.M)
            anchors = [re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in heads]
            assert anchor in anchors, target
    for reference in re.findall(r"\]\[(\w+)\]", text):
        assert f"\n[{reference}]: " in text, reference
    for reference in re.findall(r"^\[(\w+)\]: ", text, re.M):
        assert text.count(f"[{reference}]") > 1, reference


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_files_that_are_named_are_there(document: Path) -> None:
    for name in re.findall(r"`([\w-]+/[\w./-]+\.\w+)`", document.read_text()):
        if (ROOT / name.partition("/")[0]).is_dir():  # else of a model archive
            assert (ROOT / name).exists(), name


def test_the_page_of_the_architecture_names_every_package_and_says_what_to_open() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.split(".")[0] for name in project["tool"]["setuptools"]["packages"]}
    page = (DOCS / "architecture.md").read_text()
    for name in packages | {"benchmarks", "deploy"}:
        assert f"](../{name}" in page
    rows = [row for row in table(page, "you want to change") if row[1]]
    assert len(rows) > 30
    assert all("](" in row[1] for row in rows)


def test_the_commands_that_contributors_are_told_are_those_of_the_makefile() -> None:
    told = re.findall(
        r"^make ([\w./-]+)|`make ([\w./-]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.M
    )
    targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert {first or second for first, second in told} <= set(targets)
