"""Draw results.svg: this container beside the plain one, a small picture for each figure."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness.pages import INK, machine, picture
from benchmarks.harness.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Key in Results.values, title, format, and what is said of the ratio; less is better but of "more".
PANELS = (
    ("cold", "cold start, s", "{:.2f}", "faster"),
    ("p50_16", "one short text, ms", "{:.0f}", "faster"),
    ("reviews", "reviews a second", "{:.1f}", "more"),
    ("rss", "peak memory, MB", "{:.0f}", "smaller"),
    ("cost", "USD for a million", "{:.2f}", "cheaper"),
)
NAMES = {
    "ours": "this container: int8, onnxruntime",
    "plain": "plain container: Flask, gunicorn, transformers pipeline, fp32",
}
TITLE = "The same fine-tuned RoBERTa-base in two containers, measured locally"
COLOURS = {"ours": "#0969da", "plain": "#8c959f"}
GREY = "#59636e"


def draw(results: Results, path: Path) -> None:
    """Write the picture."""
    from matplotlib.patches import Patch

    with picture(path, 8.8, 3.4) as figure:
        figure.suptitle(TITLE, fontsize=11, fontweight="bold")
        axes = figure.subplots(1, len(PANELS))
        for axis, panel in zip(axes, PANELS, strict=True):
            _panel(axis, results, *panel)
        colours = [Patch(color=colour, label=NAMES[who]) for who, colour in COLOURS.items()]
        legend = figure.legend(
            handles=colours,
            title="\n".join(
                f"{machine(found)}; one CPU for the server" for found in results.kinds()
            ),
            title_fontsize=8,
            loc="outside lower center",
            ncols=2,
            frameon=False,
        )
        legend.get_title().set_color(GREY)


def _panel(axis: Axes, results: Results, what: str, title: str, form: str, word: str) -> None:
    axis.spines[["left", "top", "right"]].set_visible(False)
    axis.set_yticks([])
    axis.set_facecolor("white")
    axis.set_title(title, fontsize=9)
    found = {who: results.of(what, who) for who in NAMES}
    axis.set_xticks([])
    if not all(found.values()):
        axis.text(0.5, 0.5, "not measured", ha="center", transform=axis.transAxes)
        return
    for place, (who, values) in enumerate(found.items()):
        axis.bar(place, statistics.median(values), 0.66, color=COLOURS[who])
        least, most = min(values), max(values)
        axis.plot([place, place], [least, most], color=INK, linewidth=1)
        text = form.format(statistics.median(values))
        axis.annotate(text, (place, most), (0, 3), textcoords="offset points", ha="center")
    axis.set_xlim(-0.6, 1.6)
    axis.set_ylim(0, 1.18 * max(map(max, found.values())))
    ratio = _ratio(results, what, word)
    axis.set_xlabel(ratio, color=COLOURS["ours"], fontweight="bold", fontsize=10)
    if results.beside:
        again = f"with VNNI: {_ratio(results.beside, what, word)}"
        axis.annotate(
            again, (0.5, 0), (0, -22), "axes fraction", "offset points", ha="center", color=GREY
        )


def _ratio(results: Results, what: str, word: str) -> str:
    """Say how many times better this container is."""
    found = [results.of(what, who) for who in NAMES]
    if not all(found):
        return "not measured"
    own, other = map(statistics.median, found)
    return f"{own / other if word == 'more' else other / own:.1f}x {word}"
