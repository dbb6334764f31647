"""Take the picture of a report.html for the documents, with a Chromium that is installed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# As root, which containers and CI run as, Chromium has no sandbox.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
WIDTH, HEIGHT = 1000, 1250


def take(write: Callable[[Path], object], target: Path) -> None:
    """Draw the top of the page that `write` writes to a path, as PNG."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise SystemExit("no chromium was found; install one, or leave out --screenshot")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page = Path(folder) / "report.html"
        write(page)
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.goto(page.as_uri())
        tab.screenshot(path=target)
        browser.close()
