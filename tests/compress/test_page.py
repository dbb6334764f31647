"""report.html is one readable page: looked at in a Chromium, narrow and wide, light and dark."""

from __future__ import annotations

import json
import random
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from compress import chain
from compress.pack import main
from compress.source import Source
from tests import chromium
from tests.chromium import Scheme, look
from tests.conftest import BUNDLED

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORDS = "i love this product ok but not great is the right a it and good bad zip broke".split()
# No words of the tiny checkpoint, so that two models are of two minds about them.
ODD = ("<script>console.log('run')</script> I hate it", "awful" * 70, "</li><h1>worst</h1> seams")
ROWS = 200


class Made(NamedTuple):
    """A packed model with its page, and its archive."""

    folder: Path
    archive: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Made:
    """Pack a checkpoint that was made from another one, on texts with labels by chance."""
    draw = random.Random(5)
    folder = tmp_path_factory.mktemp("page")
    shrunk = folder / "shrunk"
    shutil.copytree(checkpoint, shrunk)
    settings = {"layers": 2, "seed": 7}
    chain.write(shrunk, [chain.step("shrink-model", Source(shrunk, "large"), settings, None)])
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 30))) for _ in range(ROWS)]
    rows = ({"text": each, "label": draw.choice([-1, 0, 1])} for each in texts)
    reviews = folder / "reviews.jsonl"
    reviews.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out, archive = folder / "out", folder / "model.tar.gz"
    arguments = [shrunk, out, "--archive", archive, "--validate", reviews, "--portable-only"]
    main([*map(str, arguments), "--gate", "agreement=0", "macro_f1_drop=1"])
    return Made(out, archive)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.chromium() as opened:
        yield opened


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_readable_and_asks_for_nothing(
    made: Made, browser: Browser, width: int, scheme: Scheme
) -> None:
    address = (made.folder / "report.html").as_uri()
    found = look(browser, address, width, scheme)
    chromium.assert_readable(found, width)
    assert found.asked == [address]
    page = found.page
    assert page.locator("svg").count() == 3
    for plot in page.locator("svg").all():
        box = plot.bounding_box()
        assert box is not None
        assert box["width"] > 280
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert brightness(ink) > 200 > 50 > brightness(paper) or scheme == "light"
    assert brightness(ink) < 50 < 200 < brightness(paper) or scheme == "dark"
    page.close()


def brightness(colour: str) -> float:
    """Return the mean of red, green and blue of a colour as Chromium writes it, 0 to 255."""
    parts = colour.partition("(")[2].rstrip(")").split(",")[:3]
    return sum(map(float, parts)) / 3


def test_the_page_shows_figures_steps_confusion_and_what_flipped(
    made: Made, browser: Browser
) -> None:
    manifest = json.loads((made.folder / "manifest.json").read_text())
    found = manifest["validation"]
    page, _, _ = look(browser, (made.folder / "report.html").as_uri(), 360)
    words = page.inner_text("body")
    for name in ("macro_f1", "ece", "worst_recall"):
        assert f"{found[f'{name}_before']:.4f}" in words
        assert f"{found[f'{name}_after']:.4f}" in words
    assert [each.inner_text() for each in page.locator(".card h3").all()][-2:] == [
        "1. shrink-model",
        "2. pack-model",
    ]
    assert manifest["chain"][0]["source"]["sha256"] in words
    counts = page.locator(".confusion td").all_inner_texts()
    assert sum(map(int, counts)) == 2 * found["rows"]  # of both models
    assert page.locator("ol.changes li").count() == min(50, found["flipped"]) > 0
    assert page.locator("h1").count() == 1
    page.close()


def test_texts_are_shown_as_they_are(
    tmp_path: Path, checkpoint: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, report = tmp_path / "texts.jsonl", tmp_path / "page.html"
    texts.write_text("".join(json.dumps({"text": each}) + "\n" for each in ODD))
    main(["compare", *map(str, [BUNDLED, checkpoint, "--data", texts, "--report", report])])
    assert "same answers" in capsys.readouterr().out
    page, logged, _ = look(browser, report.as_uri(), 360)
    shown = [each.inner_text() for each in page.locator("ol.changes li").all()]
    assert shown
    for text in shown:
        assert any(odd in text for odd in ODD)
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert logged == []
    page.close()


def test_the_archive_holds_no_text_of_the_owner(made: Made) -> None:
    with tarfile.open(made.archive) as archive:
        assert "report.html" not in archive.getnames()
    assert WORDS[2] in (made.folder / "report.html").read_text()
