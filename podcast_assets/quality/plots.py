"""Plots of quality as PNG bytes: score distributions, a policy's losses, and one episode with its scores.

They need only tables, and are used in the metadata of materializations and in dataset cards.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from podcast_assets.common.plots import COLOURS, draw_figure, label_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEPT, REJECTED, ALONE = COLOURS[0], "#CED4DA", COLOURS[1]
"""Colours of kept segments, rejected ones, and those rejected for a single reason."""
LIMIT = "#C2255C"
"""Colour of a policy's limits."""
MAX_BARS = 12
"""Maximum number of bars of a chart; the rest is combined."""

Limits = Mapping[str, Sequence[float]]
"""Column → limits that the policy sets."""

_MOS = (
    ("dnsmos_ovrl", "overall", COLOURS[0]),
    ("dnsmos_sig", "speech", COLOURS[1]),
    ("dnsmos_bak", "background", COLOURS[2]),
    ("dnsmos_p808", "P.808", COLOURS[4]),
)


def plot_distributions(rows: pl.DataFrame, limits: Limits | None = None) -> bytes:
    """Plot DNSMOS, SNR, bandwidth, durations, languages and speakers per episode on one page.

    Args:
        rows: segments with their scores, `duration`, `language`, `speaker`, `episode_id` and `keep`.
        limits: limits of the policy, drawn as dashed lines.
    """
    limits = limits or {}

    def paint(figure: "Figure") -> None:
        panels = figure.subplots(2, 3).flatten()
        _plot_mos(panels[0], rows, limits)
        _plot_histogram(panels[1], rows, "snr_db", "SNR, dB", limits)
        _plot_histogram(panels[2], rows, "source_bandwidth_hz", "bandwidth of the original, kHz", limits, scale=1e-3)
        _plot_histogram(panels[3], rows, "duration", "duration, s", limits)
        panels[3].set_ylabel("segments", fontsize=9)
        _plot_languages(panels[4], rows)
        _plot_speakers(panels[5], rows)
        handles, names = panels[3].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper right", ncols=3, fontsize=8, frameon=False)

    return draw_figure(paint, height=4.8)


def plot_waterfall(losses: pl.DataFrame, hours: float, *, policy: str) -> bytes:
    """Plot a waterfall from all hours to those kept: what each reason removes from what the previous ones leave.

    Args:
        losses: rows of `quality.policies.waterfall.LOSSES`.
        hours: hours of all segments.
        policy: label of the policy.
    """
    rows = [r for r in losses.iter_rows(named=True) if r["first_segments"]]
    shown, rest = rows[:MAX_BARS], rows[MAX_BARS:]
    unit, factor = ("h", 1.0) if hours >= 1 else ("min", 60.0)

    def paint(figure: "Figure") -> None:
        axes = figure.add_subplot()
        left, names = hours * factor, ["all"]
        axes.barh(0, left, color="#868E96", height=0.7)
        _write_note(axes, left, 0, _format_hours(hours))
        steps = [(label_text(r["reason"]), r["first_hours"], r["own_hours"]) for r in shown]
        if rest:
            steps.append((f"{len(rest)} more", sum(r["first_hours"] for r in rest), sum(r["own_hours"] for r in rest)))
        for row, (name, taken, alone) in enumerate(steps, start=1):
            names.append(name)
            axes.barh(row, taken * factor, left=left - taken * factor, color=REJECTED, height=0.7)
            # own is part of first: a segment's only reason is its first
            axes.barh(row, alone * factor, left=left - taken * factor, color=ALONE, height=0.7)
            _write_note(axes, left, row, f"\u2212 {_format_hours(taken)}, {_format_percent(taken, hours)}")
            left -= taken * factor
        names.append("kept")
        axes.barh(len(names) - 1, left, color=KEPT, height=0.7)
        left = max(left, 0.0)  # sums of floats may end a little below
        _write_note(
            axes, left, len(names) - 1, f"{_format_hours(left / factor)}, {_format_percent(left / factor, hours)}"
        )
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, hours * factor * 1.22 or 1)
        axes.set_xlabel(f"speech, {unit}", fontsize=9)
        axes.set_title(f"what {label_text(policy)} keeps", fontsize=10, loc="left")
        figure.legend(
            handles=[
                _legend_patch(ALONE, "rejected for this reason alone"),
                _legend_patch(REJECTED, "for others below it too"),
                _legend_patch(KEPT, "kept"),
            ],
            fontsize=8,
            frameon=False,
            loc="outside upper right",
            ncols=3,
        )

    return draw_figure(paint, height=1.5 + 0.27 * (min(len(rows), MAX_BARS + 1) + 2))


def plot_episode(name: str, rows: pl.DataFrame, limits: Limits | None = None) -> bytes:
    """Plot one episode: who speaks when, and below it DNSMOS overall and SNR of each segment.

    Args:
        name: name of the episode.
        rows: segments of the episode with `start` and `end` (s), `speaker`, `keep`, `dnsmos_ovrl` and `snr_db`.
        limits: those of the policy, as dashed lines.
    """
    speakers = sorted(rows["speaker"].drop_nulls().unique().to_list())
    lanes: list[str | None] = [*speakers, *([None] if rows["speaker"].null_count() else [])]
    longest = float(rows["end"].max() or 1.0)  # type: ignore[arg-type]
    unit, factor = ("min", 60.0) if longest >= 180 else ("s", 1.0)

    def paint(figure: "Figure") -> None:
        talk, mos, snr = figure.subplots(3, 1, sharex=True, height_ratios=[0.3 + 0.25 * max(len(lanes), 1), 1, 1])
        for lane, speaker in enumerate(lanes):
            own = rows.filter(pl.col("speaker").is_null() if speaker is None else pl.col("speaker") == speaker)
            for keep, alpha in ((True, 1.0), (False, 0.3)):
                spans = own.filter(pl.col("keep") == keep).select(pl.col("start"), pl.col("end") - pl.col("start"))
                colour = "#868E96" if speaker is None else COLOURS[lane % len(COLOURS)]
                talk.broken_barh((spans / factor).rows(), (lane - 0.38, 0.76), color=colour, alpha=alpha, linewidth=0)
        talk.set_yticks(range(len(lanes)), [label_text(lane or "not known") for lane in lanes])
        talk.invert_yaxis()
        talk.set_title(f"{label_text(name)}   (pale: not kept)", fontsize=10, loc="left")
        _plot_scores(mos, rows, "dnsmos_ovrl", factor, limits or {})
        mos.set_ylabel("DNSMOS\noverall", fontsize=9)
        mos.set_ylim(1, 5)
        _plot_scores(snr, rows, "snr_db", factor, limits or {})
        snr.set_ylabel("SNR, dB", fontsize=9)
        snr.set_xlabel(unit, fontsize=9)
        snr.set_xlim(0, longest / factor)

    return draw_figure(paint, height=3.2 + 0.25 * max(len(lanes), 1))


def _plot_mos(axes: "Axes", rows: pl.DataFrame, limits: Limits) -> None:
    edges = np.linspace(1, 5, 41)
    for column, name, colour in _MOS:
        values = _column_values(rows, column)
        if len(values):
            axes.hist(values, bins=edges.tolist(), histtype="step", linewidth=1.3, color=colour, label=name)
        _draw_limits(axes, limits.get(column, ()))
    axes.set_xlim(1, 5)
    axes.set_xlabel("DNSMOS, 1 to 5", fontsize=9)
    axes.set_ylabel("segments", fontsize=9)
    if axes.get_legend_handles_labels()[0]:
        axes.set_ylim(top=axes.get_ylim()[1] * 1.3)  # room for the legend
        axes.legend(fontsize=7, frameon=False, loc="upper center", ncols=2, handlelength=1.2)
    _use_whole_numbers(axes)


def _plot_histogram(
    axes: "Axes", rows: pl.DataFrame, column: str, label: str, limits: Limits, *, scale: float = 1.0
) -> None:
    """Plot a stacked histogram of kept and rejected segments."""
    parts = [_column_values(rows.filter(keep), column) * scale for keep in (pl.col("keep"), ~pl.col("keep"))]
    everything = np.concatenate(parts)
    axes.set_xlabel(label, fontsize=9)
    _use_whole_numbers(axes)
    if not len(everything):
        axes.set_yticks([])
        axes.text(
            0.5, 0.5, "no values", ha="center", va="center", transform=axes.transAxes, fontsize=9, color="#868E96"
        )
    edges = (
        np.histogram_bin_edges(everything, bins=min(30, 6 + math.isqrt(len(everything))))
        if len(everything)
        else np.array([0.0, 1.0])
    )
    axes.hist(parts, bins=edges.tolist(), stacked=True, color=[KEPT, REJECTED], label=["kept", "rejected"])
    _draw_limits(axes, [limit * scale for limit in limits.get(column, ())])
    if column == "duration" and any(limits.values()):
        axes.plot([], [], color=LIMIT, linestyle="--", linewidth=1, label="limit of the policy")
    if column == "source_bandwidth_hz":
        axes.set_xlim(left=0)


def _plot_languages(axes: "Axes", rows: pl.DataFrame) -> None:
    hours = (
        rows.group_by(pl.col("language").fill_null("?"))
        .agg(
            kept=pl.col("duration").filter(pl.col("keep")).sum() / 3600,
            rejected=pl.col("duration").filter(~pl.col("keep")).sum() / 3600,
        )
        .sort(pl.col("kept") + pl.col("rejected"), "language", descending=[True, False])
    )
    head, tail = hours.head(6), hours.slice(6)
    names = head["language"].to_list()
    kept, rejected = head["kept"].to_list(), head["rejected"].to_list()
    if tail.height:
        names.append(f"{tail.height} more")
        kept.append(float(tail["kept"].sum()))
        rejected.append(float(tail["rejected"].sum()))
    unit, factor = ("h", 1.0) if sum(kept) + sum(rejected) >= 1 else ("min", 60.0)
    axes.barh(range(len(names)), [h * factor for h in kept], color=KEPT, height=0.7)
    axes.barh(
        range(len(names)),
        [h * factor for h in rejected],
        left=[h * factor for h in kept],
        color=REJECTED,
        height=0.7,
    )
    axes.set_yticks(range(len(names)), [label_text(n) for n in names])
    axes.set_ylim(max(len(names), 3) - 0.5, -0.5)
    axes.set_xlabel(f"languages, {unit}", fontsize=9)


def _plot_speakers(axes: "Axes", rows: pl.DataFrame) -> None:
    found = rows.group_by("episode_id").agg(speakers=pl.col("speaker").drop_nulls().n_unique())["speakers"].to_list()
    most = 10
    counts = [sum(min(n, most) == k for n in found) for k in range(most + 1)]
    last = max((k for k, n in enumerate(counts) if n), default=1)
    axes.bar(range(last + 1), counts[: last + 1], color=COLOURS[2], width=0.8)
    axes.set_xticks(range(last + 1), [f"{k}+" if k == most else str(k) for k in range(last + 1)])
    axes.set_xlabel("speakers of an episode", fontsize=9)
    axes.set_ylabel("episodes", fontsize=9)
    _use_whole_numbers(axes)


def _plot_scores(axes: "Axes", rows: pl.DataFrame, column: str, factor: float, limits: Limits) -> None:
    """Plot a line over each segment at the height of its score."""
    scored = rows.filter(pl.col(column).is_not_null())
    for keep, colour in ((pl.col("keep"), KEPT), (~pl.col("keep"), "#ADB5BD")):
        part = scored.filter(keep)
        axes.hlines(part[column], part["start"] / factor, part["end"] / factor, color=colour, linewidth=2)
    axes.grid(axis="y", linewidth=0.4, color="#E9ECEF")
    _draw_limits(axes, limits.get(column, ()), horizontal=True)


def _draw_limits(axes: "Axes", limits: Sequence[float], *, horizontal: bool = False) -> None:
    line: Callable[..., object] = axes.axhline if horizontal else axes.axvline
    for limit in limits:
        line(limit, color=LIMIT, linestyle="--", linewidth=1)


def _column_values(rows: pl.DataFrame, column: str) -> npt.NDArray[np.float64]:
    return rows[column].cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()


def _use_whole_numbers(axes: "Axes") -> None:
    """Use only whole numbers as ticks, because counts have no fractions."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))


def _write_note(axes: "Axes", x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)


def _legend_patch(colour: str, name: str) -> "object":
    from matplotlib.patches import Patch

    return Patch(color=colour, label=name)


def _format_percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def _format_hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"
