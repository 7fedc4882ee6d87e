"""A picture of the statistics: hours by day, hours by language, the speed of the stages, and failures by reason."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from podcast_assets.common.plots import COLOURS, draw_figure, label_text
from podcast_assets.stages.statistics.totals import Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DAYS = 30
"""Days that are drawn, the newest."""
BARS = 8
"""Bars of a kind that are drawn, the longest."""


def draw_statistics(by_day: Statistics, by_language: Statistics) -> bytes:
    """Draw a PNG with four plots.

    Args:
        by_day: statistics grouped by day.
        by_language: the same statistics grouped by language.
    """

    def paint(figure: Any) -> None:
        days, languages, stages, reasons = figure.subplots(2, 2).flat
        _paint_days(days, by_day.groups[-DAYS:])
        _paint_bars(languages, [(g["language"], g["hours"]) for g in by_language.groups[:BARS]], "hours by language")
        speeds = [(s["stage"], s["x_real_time"] or 0.0) for s in by_day.stages]
        _paint_bars(stages, speeds[:BARS], "x real time by stage")
        failed = [(f"{f['stage']}: {f['reason']}", f["episodes"]) for f in by_day.failures[:BARS]]
        _paint_bars(reasons, failed, "episodes that failed, by reason")

    return draw_figure(paint, height=5.2)


def _paint_days(axes: "Axes", days: Sequence[dict[str, Any]]) -> None:
    places = range(len(days))
    axes.bar(places, [day["done"] for day in days], color=COLOURS[0], label="done")
    axes.bar(
        places, [day["failed"] for day in days], bottom=[day["done"] for day in days], color=COLOURS[1], label="failed"
    )
    shown = [place for place in places if place % max(1, -(-len(days) // 4)) == 0]
    axes.set_xticks(shown, [days[place]["day"][5:] for place in shown])
    axes.set_xlabel("episodes by day (UTC)", fontsize=9)
    if days:
        axes.margins(y=0.3)
        axes.legend(fontsize=8, frameon=False, ncols=2)


def _paint_bars(axes: "Axes", values: Sequence[tuple[str, float]], label: str) -> None:
    axes.barh(range(len(values)), [value for _, value in values], color=COLOURS[0])
    axes.set_yticks(range(len(values)), [label_text(name) for name, _ in values])
    axes.invert_yaxis()
    axes.set_xlabel(label, fontsize=9)
