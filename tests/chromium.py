"""Look at pages in a headless Chromium, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest

from benchmarks.harness.screenshot import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]


class Look(NamedTuple):
    """A page that is open, what it logged, and what it asked for."""

    page: Page
    logged: list[str]
    asked: list[str]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a browser; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield opened
        opened.close()


def look(browser: Browser, address: str, width: int, scheme: Scheme = "light") -> Look:
    """Open a page of an address in a window of so many pixels."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    found = Look(page, [], [])
    page.on("console", lambda message: found.logged.append(message.text))
    page.on("pageerror", lambda error: found.logged.append(str(error)))
    page.on("request", lambda request: found.asked.append(request.url))
    page.goto(address)
    return found


def assert_readable(found: Look, width: int) -> None:
    """Assert that nothing was logged, that nothing is wider than the window, or small."""
    assert found.logged == []
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    # The smallest words of a plot, as they come out on the screen; they may be turned, and a
    # single digit is narrow.
    sizes = found.page.evaluate(
        "[...document.querySelectorAll('svg text')].filter(e => e.textContent.length > 2)"
        ".map(e => e.getBoundingClientRect())"
        ".map(box => Math.min(box.width, box.height)).filter(size => size > 0)"
    )
    assert min(sizes, default=9) >= 9
