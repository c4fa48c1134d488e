"""Plots as SVG that takes its colours from the page: text and axes follow the colour scheme."""

import io
import re
from itertools import pairwise

import matplotlib
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, NullFormatter

from generators.figure import Plot

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]
INK, FAINT = "#123456", "#654321"
STYLES = {
    "svg.fonttype": "none",
    "svg.hashsalt": "plot",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
}

# Above the axes, from the left: it hides no data, and a narrow screen that scrolls shows it first.
LEGEND = {
    "loc": "lower left",
    "bbox_to_anchor": (0, 1),
    "ncols": 3,
    "borderaxespad": 0.3,
    "borderpad": 0,
    "handlelength": 1.4,
    "columnspacing": 1.6,
}


def plot_svg(plot: Plot, identity: str) -> tuple[str, tuple[int, int]]:
    """Draw a plot; return its SVG and its size (width, height) in CSS pixels.

    Colours are custom properties with fallbacks, so that a page can restyle an inlined plot. Its
    identifiers begin with `identity` and do not clash with those of another one.
    """
    with matplotlib.rc_context(STYLES):  # type: ignore[arg-type]
        canvas = Canvas(figsize=plot.size, layout="constrained")
        axes = canvas.add_subplot()
        for index, series in enumerate(plot.series):
            colour = COLOURS[index % len(COLOURS)]
            if series.rule:
                axes.axhline(
                    series.y[0], color=INK, linestyle="--", linewidth=1, label=series.label
                )
            else:
                style = "o" if series.marks else "-"
                axes.plot(series.x, series.y, style, color=colour, label=series.label)
        if places := few_places(plot):
            axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.set_xlabel(plot.x)
        axes.set_ylabel(plot.y)
        if plot.logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=ticks(plot)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        if len(plot.series) > 1:
            axes.legend(**LEGEND)
        file = io.StringIO()
        canvas.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(METADATA))
    width, height = (round(96 * inches) for inches in plot.size)
    return themed(file.getvalue(), identity), (width, height)


FEW, APART = 9, 0.04
"""How many places are few, and how far apart in parts of their span they must be."""
METADATA = ("Date", "Creator", "Format", "Type")


def few_places(plot: Plot) -> list[float]:
    """Return where a plot was measured, if that is at a few places far enough apart to label."""
    places = sorted({float(x) for series in plot.series if not series.rule for x in series.x})
    if not 2 <= len(places) <= FEW:
        return []
    closest = min(after - before for before, after in pairwise(places))
    return places if closest > APART * (places[-1] - places[0]) else []


def ticks(plot: Plot) -> tuple[int, ...]:
    """Return which multiples of a power of ten to label: more where there are few powers."""
    heights = [value for series in plot.series for value in series.y if value > 0]
    is_narrow = max(heights, default=1) < 12 * min(heights, default=1)
    return (1, 2, 3, 4, 5, 6, 8) if is_narrow else (1, 2, 5)


def themed(svg: str, identity: str) -> str:
    """Replace fixed colours by custom properties, and begin identifiers with the plot's own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg style="stroke-linejoin: round" ', 1)
    svg = re.sub(r"font-family: [^;\"]+", "font-family: var(--sans, sans-serif)", svg)
    svg = svg.replace(INK, "var(--ink, #222)").replace(FAINT, "var(--faint, #888)")
    for index, colour in enumerate(COLOURS, 1):
        svg = svg.replace(colour, f"var(--series-{index}, {colour})")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{identity}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{identity}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{identity}-\1)", svg)
