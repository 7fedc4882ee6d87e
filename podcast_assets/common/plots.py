"""Plots as PNG bytes, drawn with matplotlib's object API, which is thread-safe because it has no global state."""

import math
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ["#4F43DD", "#E8590C", "#2B8A3E", "#C2255C", "#1098AD", "#F08C00", "#5C940D", "#868E96"]
"""Colours that are distinct on white; one per speaker, in order."""

PALETTE = 96
"""Number of colours in a PNG, including the shades of antialiased edges."""


def draw(paint: Callable[["Axes"], None], *, width: float = 8.0, height: float = 2.6) -> bytes:
    """Draw a PNG with a single plot, which `paint` draws into its axes; width and height in inches."""
    return draw_figure(lambda figure: paint(figure.add_subplot()), width=width, height=height)


def draw_figure(paint: Callable[["Figure"], None], *, width: float = 8.0, height: float = 2.6) -> bytes:
    """Draw a PNG of a figure, to which `paint` adds axes; width and height in inches. Dagster's UI shows 8 inches at most."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from PIL import Image

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    paint(figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    for text in figure.findobj(Text):
        cast("Text", text).set_parse_math(False)  # a "$" in a name does not start a formula
    canvas.draw()
    # every plot stays in Dagster's database, and a palette cuts its size to a third
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(PALETTE, dither=Image.Dither.NONE)
    out = BytesIO()
    image.save(out, format="png", optimize=True)
    return out.getvalue()


def label_text(name: str) -> str:
    """Shorten a name to a label of at most 40 characters. A box replaces characters that the font lacks, to avoid warnings."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(c if font.get_char_index(ord(c)) else "\u25a1" for c in name[:40])


def draw_bars(values: Sequence[tuple[str, float]], *, label: str) -> bytes:
    """Draw horizontal bars, one per named value, the first on top."""

    def paint(axes: "Axes") -> None:
        names = [label_text(name) for name, _ in values]
        axes.barh(range(len(values)), [v for _, v in values], color=COLOURS[0])
        axes.set_yticks(range(len(values)), names)
        axes.invert_yaxis()
        axes.set_xlabel(label, fontsize=9)

    return draw(paint, height=0.8 + 0.25 * max(len(values), 1))


def draw_histograms(series: Sequence[tuple[str, Sequence[float]]], *, label: str, of: str = "segments") -> bytes:
    """Draw the distributions of one or more named series over the same axis; `of` is what is counted."""

    def paint(axes: "Axes") -> None:
        filled = [(name, list(values)) for name, values in series if len(values)]
        most = max((len(values) for _, values in filled), default=1)
        edges = np.histogram_bin_edges([v for _, values in filled for v in values], bins=min(40, 6 + math.isqrt(most)))
        for (name, values), colour in zip(filled, COLOURS, strict=False):
            axes.hist(values, bins=edges.tolist(), histtype="step", linewidth=1.6, color=colour, label=label_text(name))
        if filled:
            axes.legend(fontsize=8, frameon=False)
        axes.set_xlabel(label, fontsize=9)
        axes.set_ylabel(of, fontsize=9)

    return draw(paint)


def draw_timeline(episodes: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> bytes:
    """Draw who speaks when, one line per episode.

    Args:
        episodes: name of each episode, and its segments with `start` and `end` in seconds and `speaker`.
    """

    def paint(axes: "Axes") -> None:
        for row, (_, segments) in enumerate(episodes):
            speakers = sorted({s["speaker"] for s in segments}, key=str)
            for number, speaker in enumerate(speakers):
                spans = [(s["start"], s["end"] - s["start"]) for s in segments if s["speaker"] == speaker]
                axes.broken_barh(spans, (row - 0.35, 0.7), color=COLOURS[number % len(COLOURS)])
        axes.set_yticks(range(len(episodes)), [label_text(name) for name, _ in episodes])
        axes.invert_yaxis()
        axes.set_xlabel("seconds; a colour is a speaker of that episode", fontsize=9)

    return draw(paint, height=0.8 + 0.35 * max(len(episodes), 1))
