"""Sections of a card: contents, creation, exclusions and attribution."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from podcast_assets.common.wording import count_noun, format_bytes
from podcast_assets.release.card.facts import DatasetFacts
from podcast_assets.release.card.header import SPLITS, sorted_unique
from podcast_assets.release.content_flags import COLUMN, COLUMN_DESCRIPTION, flag_statistics
from podcast_assets.release.published import EPISODES, SEGMENTS
from podcast_assets.release.reviews import METADATA, describe_reviews
from podcast_assets.transcripts.pages import escape_markdown

MAX_PODCASTS = 40
"""Maximum number of rows of a table; the rest is counted in one line."""


def summary(facts: DatasetFacts) -> str:
    """Summary of the dataset in two sentences."""
    rows = facts.metadata
    languages = sorted_unique(rows["language"])
    parts = [
        f"{_sum_hours(rows)} of speech from podcasts in {rows.height:,} segments",
        f"of {facts.episodes.height:,} episodes in {', '.join(languages) or 'no language'}",
    ]
    kept = rows.filter(pl.col("keep").fill_null(False))
    text = (
        f"{' '.join(parts)}: each with audio ({facts.codec}, at most {facts.sample_rate / 1000:g} kHz), text with word times, "
        "speaker and quality scores. "
        f"The policy {code(facts.policy)} keeps {_sum_hours(kept)} of it (column `keep`); "
    )
    if kept.height == rows.height:
        return text + "only those segments are included.\n"
    return text + "the other segments are included too, with the reasons for rejection.\n"


def contents(facts: DatasetFacts) -> str:
    """Section on segments and hours by language and split, and on the files."""
    found = (
        facts.metadata.group_by("language", "split")
        .agg(
            episodes=pl.col("episode_id").n_unique(),
            speakers=pl.struct("episode_id", "speaker").filter(pl.col("speaker").is_not_null()).n_unique(),
            segments=pl.len(),
            hours=pl.col("duration").sum() / 3600,
            kept=pl.col("duration").filter(pl.col("keep").fill_null(False)).sum() / 3600,
        )
        .sort("language", pl.col("split").replace_strict(dict(zip(SPLITS, range(3), strict=True)), default=9))
    )
    table = _render_table(
        ("language", "split", "episodes", "speakers (per episode)", "segments", "hours", "hours kept"),
        [
            (
                r["language"],
                r["split"],
                f"{r['episodes']:,}",
                f"{r['speakers']:,}",
                f"{r['segments']:,}",
                _format_two_digits(r["hours"]),
                _format_two_digits(r["kept"]),
            )
            for r in found.iter_rows(named=True)
        ],
        left=2,
    )
    grains = {g: [s for s in facts.shards if s.grain == g] for g in facts.grains}
    files = (
        [
            f"- `data/<language>/<split>/audio_<n>.tar`: {_totals(grains[SEGMENTS])}; two members per sample, `<key>.json` and "
            f"`<key>.{facts.codec}`."
        ]
        if SEGMENTS in grains
        else []
    )
    if EPISODES in grains:
        files.append(
            f"- `episode_data/<language>/<split>/audio_<n>.tar`: {_totals(grains[EPISODES])}; whole episodes in the same format, "
            "with speaker turns and transcript."
        )
    files += [
        "- `metadata/<language>/<batch>.parquet`: one row per segment, with all scores and its position in the shards.",
        "- `episodes/<batch>.parquet`: one row per episode: title, podcast, source, licence, attribution, speaker turns.",
        "- `shards.jsonl`: every shard with its SHA-256, size and samples. `pipeline.json`: engines, versions and settings.",
    ]
    return "\n".join([table, *files, ""])


def scores(facts: DatasetFacts) -> str:
    """Section on the distribution of the scores."""
    measures = "duration dnsmos_ovrl dnsmos_sig dnsmos_bak dnsmos_p808 snr_db source_bandwidth_hz loudness_lufs".split()
    rows = []
    for column in measures:
        values = facts.metadata[column].cast(pl.Float64).fill_nan(None).drop_nulls()
        if values.len():
            quantiles = (values.quantile(q, "linear") for q in (0.05, 0.25, 0.5, 0.75, 0.95))
            rows.append(
                (code(column), *(f"{q:,.0f}" if column.endswith("_hz") else _format_two_digits(q) for q in quantiles))
            )
    return _render_table(("", "5 %", "25 %", "median", "75 %", "95 %"), rows, left=1) if rows else ""


def content_flags(facts: DatasetFacts) -> str:
    """Section on what moderation policies say of the released segments; empty if none judged them."""
    found = flag_statistics(facts.metadata)
    if found.is_empty():
        return ""
    table = _render_table(
        ("policy", "label", "verdict", "segments", "hours"),
        [
            (code(r["policy"]), code(r["label"]), r["verdict"], f"{r['segments']:,}", _format_two_digits(r["hours"]))
            for r in found.iter_rows(named=True)
        ],
        left=3,
    )
    rules = dict(facts.pipeline.get("settings") or {}).get("exclude")
    excluded = f"Segments that fulfil any of these rules are not released: {code(rules)}.\n\n" if rules else ""
    return (
        "Moderation policies judged the transcripts automatically, in windows of several turns: a flag says that a label is likely "
        f"to apply somewhere in the window (column `{COLUMN}`).\n\n{excluded}{table}"
    )


def columns(facts: DatasetFacts) -> str:
    """Section on the metadata columns."""
    overrides = {
        "shard": "path of the tar in this dataset",
        "license": "licence of the episode, as in the table of episodes",
    }
    rows = [(code(name), overrides.get(name, what)) for name, (_, what) in METADATA.items()]
    if COLUMN in facts.metadata.columns:
        rows.append((code(COLUMN), COLUMN_DESCRIPTION))
    return _render_table(("column", "description"), rows, left=2)


def made_with(pipeline: Mapping[str, Any]) -> str:
    """Section on engines and settings, from `pipeline.json`."""
    engines = sorted(
        {
            (
                str(e.get("stage") or ""),
                str(e.get("engine") or "(no engine)"),
                *_summarize_engine(e.get("made_with")),
            )
            for e in dict(pipeline.get("engines") or {}).values()
            if isinstance(e, Mapping)
        }
    )
    parts: list[str] = []
    if engines:
        head = ("stage", "engine", "version of the stage", "model", "packages")
        parts += [_render_table(head, engines, left=5), "All settings of the engines are in `pipeline.json`.\n"]
    if settings := dict(pipeline.get("settings") or {}):
        parts.append(
            _render_table(("setting", "value"), [(code(k), code(v)) for k, v in sorted(settings.items())], left=2)
        )
    return "\n".join(parts) or "See `pipeline.json`.\n"


def _summarize_engine(made_with: object) -> "tuple[str, Code, str]":
    """Version of a stage, abbreviated hashes of its models, and versions of its packages."""
    made = made_with if isinstance(made_with, Mapping) else {}
    routes = made.get("routes")
    engines = [made, *(routes.values() if isinstance(routes, Mapping) else ())]
    models = sorted({str(e["model"])[:12] for e in engines if isinstance(e, Mapping) and e.get("model")})
    packages = made.get("packages")
    named = packages.items() if isinstance(packages, Mapping) else ()
    return str(made.get("version") or ""), code(", ".join(models)), ", ".join(f"{n} {v}" for n, v in named)


def reviews(facts: DatasetFacts) -> str:
    """Section on what people reviewed, and on the error rate that they measured; empty if nothing was reviewed."""
    return describe_reviews(facts.metadata, facts.review_report)


def not_released(facts: DatasetFacts) -> str:
    """Section on what was not released, and why."""
    if facts.not_released.is_empty():
        return "Everything that was processed is included.\n"
    rows = [
        (r["reason"], f"{r['episodes']:,}", _format_two_digits(r["hours"]))
        for r in facts.not_released.sort("hours", "reason", descending=[True, False]).iter_rows(named=True)
    ]
    return _render_table(("reason", "episodes", "hours"), rows, left=1)


def attribution(facts: DatasetFacts) -> str:
    """Section on licences and attribution. No episode is named, because a card cannot be removed from a repository's history."""
    episodes = _with_columns(facts.episodes, "license", "podcast", "duration")
    licences = (
        episodes.group_by(pl.col("license").fill_null("none declared"))
        .agg(episodes=pl.len(), hours=pl.col("duration").fill_null(0.0).sum() / 3600)
        .sort("hours", "license", descending=[True, False])
    )
    podcasts = (
        episodes.group_by("podcast")
        .agg(
            licences=pl.col("license").drop_nulls().unique().sort(),
            episodes=pl.len(),
        )
        .sort("episodes", "podcast", descending=[True, False], nulls_last=True)
    )
    names = [
        (p["podcast"] or "(no name)", ", ".join(p["licences"]), f"{p['episodes']:,}")
        for p in podcasts.head(MAX_PODCASTS).iter_rows(named=True)
    ]
    rest = f"\nAnd {podcasts.height - MAX_PODCASTS:,} more podcasts.\n" if podcasts.height > MAX_PODCASTS else ""
    return "\n".join(
        [
            "Each episode has its own licence and attribution: columns `license`, `license_url` and `attribution` of "
            "`episodes/*.parquet`. Attribute each segment that you use to its episode. The tables contain the latest statement "
            "of the publisher and take precedence over `license` in the JSON of a sample, which dates from its sealing.\n",
            _render_table(
                ("licence of the episodes", "episodes", "hours"),
                [
                    (r["license"], f"{r['episodes']:,}", _format_two_digits(r["hours"]))
                    for r in licences.iter_rows(named=True)
                ],
                left=1,
            ),
            _render_table(("podcast", "licences", "episodes"), names, left=2) + rest,
        ]
    )


def _with_columns(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Add missing columns to a frame, as null."""
    types = {"duration": pl.Float64}
    return frame.with_columns(pl.lit(None, types.get(n, pl.String)).alias(n) for n in names if n not in frame.columns)


def _totals(shards: Sequence[Any]) -> str:
    samples, size = sum(s.samples for s in shards), sum(s.bytes for s in shards)
    return f"{samples:,} samples in {count_noun(len(shards), 'shard')} ({format_bytes(size)})"


def _sum_hours(rows: pl.DataFrame) -> str:
    hours = float(rows["duration"].sum()) / 3600
    return f"{hours:,.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"


def _format_two_digits(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


class Code(str):
    """Markdown code, which is not escaped."""

    __slots__ = ()


def code(value: Any) -> Code:
    """Format a value as code, without the characters that would end a table cell or the code."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return Code(f"`{text[:400]}{'…' if len(text) > 400 else ''}`" if text else "")


def _render_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> str:
    """Render a Markdown table; columns after the first `left` are numbers, aligned right."""
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(['---'] * left + ['--:'] * (len(head) - left))}|"]
    lines += [f"| {' | '.join(_render_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _render_cell(value: str) -> str:
    """Format a cell; names from feeds are escaped, so that they appear unchanged."""
    return value if isinstance(value, Code) else escape_markdown(value)
