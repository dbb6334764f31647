"""The pages of `rehearse size` and of a running rehearsal, looked at in a Chromium."""

from __future__ import annotations

import base64
import json
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rehearse.forecast.profiles import Profile, Times
from rehearse.metering.prices import Prices
from rehearse.sizing import comparison, report
from rehearse.sizing.comparison import Sizing
from rehearse.sizing.measurement import Measured
from tests import chromium
from tests.chromium import Scheme, look
from tests.rehearse.rehearsal import Rehearsal

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def sizing() -> Sizing:
    """Return a comparison of two sizes that answered and one that did not."""
    prices, counts = Prices.read("us-east-1"), [5, 60] * 30
    times = Times((900.0, 1000.0), (60.0, 80.0), (20.0, 22.0, 24.0, 40.0))
    profile = Profile("reviews:1", "a CPU", 500, {1024: times, 2048: comparison.scaled(times, 0.6)})
    costs = tuple(comparison.costs(profile, size, counts, prices) for size in profile.memory)
    measured = [
        Measured(size, [*each.setup], [*each.first], [*each.warm], 200.0, 300)
        for size, each in profile.memory.items()
    ]
    measured[0].failure = "dies at 1000 records: out of memory"
    return Sizing(
        image=profile.image,
        cpu=profile.cpu,
        cpu_factor=1.0,
        region=prices.region,
        prices_dated=prices.dated,
        requests_by_minute=tuple(counts),
        measured=(*measured, Measured(3072, failure="it does not start")),
        costs=costs,
        recommendation=comparison.recommend(costs, profile, counts, prices),
    )


@pytest.fixture
def page(tmp_path: Path, sizing: Sizing) -> str:
    path = tmp_path / "report.html"
    report.write(sizing, path)
    return path.as_uri()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_readable_and_asks_for_nothing(
    browser: Browser, page: str, width: int, scheme: Scheme
) -> None:
    found = look(browser, page, width, scheme)
    found.page.locator("td").first.wait_for()
    assert found.page.locator("svg").count() == 5
    chromium.assert_readable(found, width)
    assert found.asked == [page]
    words = found.page.inner_text("body")
    assert "Recommended: serverless, on demand" in words
    assert "1024 MB: dies at 1000 records: out of memory" in words
    assert "3072 MB: it does not start" in words
    assert found.page.locator("table tr").count() == 3
    found.page.close()


def test_the_link_of_a_report_carries_its_data_to_another_copy(
    browser: Browser, page: str, sizing: Sizing, tmp_path: Path
) -> None:
    first = look(browser, page, 1280)
    link = first.page.locator("#link").get_attribute("href") or ""
    _, _, packed = link.partition("#")
    assert len(packed) < 4000  # as long as links may be in most places
    data = json.loads(zlib.decompress(base64.urlsafe_b64decode(packed), -zlib.MAX_WBITS))
    assert [each["mb"] for each in data["sizes"]] == [1024, 2048]
    other = tmp_path / "other.html"
    report.write(replace(sizing, image="another"), other)
    second = look(browser, f"{other.as_uri()}#{packed}", 1280)
    second.page.locator("td").first.wait_for()
    assert second.page.inner_text("h1") == "Memory sizes of reviews:1"
    assert second.logged == []
    broken = look(browser, f"{other.as_uri()}#nonsense", 1280)
    broken.page.locator("td").first.wait_for()
    assert broken.page.inner_text("h1") == "Memory sizes of another"
    for each in (first, second, broken):
        each.page.close()


def test_a_running_rehearsal_shows_what_happens(browser: Browser, rehearsal: Rehearsal) -> None:
    endpoint = rehearsal.endpoint(rehearsal.config(rehearsal.model()))
    rehearsal.invoke(endpoint)
    address = f"{rehearsal.url}/_rehearse/"
    found = look(browser, address, 360)
    found.page.get_by_text(f"{endpoint}, AllTraffic").wait_for()
    words = found.page.inner_text("body")
    assert "1 environments, 0 busy; 1 calls" in words
    assert endpoint in found.page.inner_text("#log")
    chromium.assert_readable(found, 360)
    assert {each.removeprefix(address) for each in found.asked} == {"", "state"}
    found.page.close()
    with urllib.request.urlopen(f"{address}state") as answer:
        state = json.load(answer)
    (variant,) = [each for each in state["variants"] if each["endpoint"] == endpoint]
    assert (variant["environments"], variant["busy"], variant["invocations"]) == (1, 0, 1)
    assert state["usd"] >= variant["usd"] > 0
