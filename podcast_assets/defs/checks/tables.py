"""What is asserted of each table before anything is built on it: pure functions from tables to verdicts.

The assets run them right after the commit of a batch. Blocking ones stop what comes after; those of optional assets never do.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.speech.languages.codes import different_languages

TOLERANCE = 0.02
"""Share by which a declared and a decoded duration may differ; containers round, and encoders pad."""
TOLERANCE_SECONDS = 1.0
"""Difference in seconds that is fine in any case."""
MILLISECOND = 0.001
LANGUAGE_SHARE = 0.05
"""Share of the speech in another language than declared that is borrowed words and short answers; more is another language."""


@dataclass(frozen=True)
class Verdict:
    """Whether a check holds for a batch, with what shows it."""

    passed: bool
    facts: Mapping[str, Any] = field(default_factory=dict)


_NO_FAILURES = ("no_failures", "No episode failed in this stage.", False)

SPECS: dict[str, dict[str, dg.AssetCheckSpec]] = {
    asset: {
        name: dg.AssetCheckSpec(name, asset=asset, description=description, blocking=blocking)
        for name, description, blocking in specs
    }
    for asset, specs in {
        "raw_audio": [
            ("episodes_accounted", "Every file of the batch is done, failed or skipped, once.", True),
            _NO_FAILURES,
            ("durations_agree", "What was decoded is as long as the header declares.", False),
            ("metadata_coverage", "Every episode has a metadata row, and every row an episode.", False),
        ],
        "diarized_segments": [
            (
                "episodes_accounted",
                "Every episode of raw_audio has segments or is known to have none, or failed.",
                True,
            ),
            _NO_FAILURES,
            ("times_in_order", "Segments start in order, end after their start, and lie inside their episode.", True),
            ("speakers_known", "The diarizer could say of every segment who speaks.", False),
            ("below_speaker_cap", "No episode has as many speakers as the diarizer can tell apart at most.", False),
        ],
        "transcripts": [
            ("episodes_accounted", "Every episode of diarized_segments has its transcripts, or failed.", True),
            _NO_FAILURES,
            ("times_in_order", "Words start in order and lie inside their segment.", True),
            ("not_degraded", "No row was made by an embedded engine or a fallback.", False),
            ("languages_agree", "What is heard, what is written and what was declared are in one language.", False),
        ],
        "second_opinions": [
            ("episodes_accounted", "Every episode of diarized_segments has its second opinion, or failed.", False),
            _NO_FAILURES,
        ],
        "punctuated_texts": [
            ("episodes_accounted", "Every episode with a text has been punctuated, or failed.", False),
            _NO_FAILURES,
        ],
        "quality_scores": [
            ("episodes_accounted", "Every episode of transcripts has its scores, or failed.", True),
            _NO_FAILURES,
            ("scores_in_range", "Every score lies in its range, and none is missing without a cause.", True),
            (
                "kept_share_steady",
                "The policy keeps about as large a share of the speech as of the batches before.",
                False,
            ),
            ("degraded_share", "At most 10 % of the speech was made by an embedded engine or a fallback.", False),
            ("scores_covered", "Of the segments that are long enough, 95 % of the speech has each score.", False),
            ("hallucination_share", "At most 2 % of the speech has a text that looks invented.", False),
            ("kept_in_one_language", "At most 5 % of what is kept is heard or written in another language.", False),
        ],
        "hf_shards": [
            ("episodes_accounted", "Every scored segment is in a shard, or its episode failed.", True),
            _NO_FAILURES,
            ("read_back_equal", "The shards, read back from the store, hold what the table says.", True),
        ],
        "episode_shards": [
            ("episodes_accounted", "Every episode whose segments are sealed is in a shard whole, or failed.", False),
            _NO_FAILURES,
            ("read_back_equal", "The shards, read back from the store, hold what the table says.", False),
        ],
    }.items()
}
"""Asset → its checks."""

RELEASE_SPECS: dict[str, dg.AssetCheckSpec] = {
    name: dg.AssetCheckSpec(name, asset="hf_dataset", description=description)
    for name, description in (
        ("published_equal", "Every shard of the list is published, with its size and hash."),
        ("all_released", "No episode is withheld for its rights, and no segment for its quality."),
    )
}
"""Checks of `hf_dataset`, which is no table of a batch."""


def accounted(expected: list[str], done: list[str], failed: list[str]) -> Verdict:
    """Every expected episode is done or failed, exactly once, and no other is."""
    found = [*done, *failed]
    lost = sorted(set(expected).difference(found))
    unknown = sorted(set(found).difference(expected))
    twice = sorted(e for e, times in Counter(found).items() if times > 1)
    return Verdict(
        not (lost or unknown or twice),
        {
            "expected": len(expected),
            "done": len(done),
            "failed": len(failed),
            "lost": lost[:20],
            "unknown": unknown[:20],
            "twice": twice[:20],
        },
    )


def no_failures(failures: pl.DataFrame) -> Verdict:
    """The stage failed for no episode."""
    return Verdict(
        failures.is_empty(),
        {
            "failed": failures.height,
            "sources": failures["source"].to_list()[:20],
            "errors": failures["message"].to_list()[:20],
        },
    )


def files_accounted(table: pl.DataFrame, files: int) -> Verdict:
    """The table of raw_audio has one row with a status for every file of the batch."""
    statuses = dict(table["status"].value_counts().iter_rows())
    unique = table["episode_id"].n_unique() == table.height
    known = set(statuses) <= {"done", "failed", "skipped"}
    unexplained = table.filter((pl.col("status") != "done") & pl.col("error").is_null()).height
    return Verdict(
        table.height == files and unique and known and not unexplained,
        {
            "files": files,
            "rows": table.height,
            "unexplained": unexplained,
            **{f"files_{k}": v for k, v in statuses.items()},
        },
    )


def durations_agree(table: pl.DataFrame) -> Verdict:
    """Decoded and declared durations of the episodes that were done, where a header declares one."""
    done = table.filter(pl.col("status") == "done", pl.col("declared_duration").is_not_null())
    gap = (pl.col("duration") - pl.col("declared_duration")).abs()
    limit = pl.max_horizontal(pl.lit(TOLERANCE_SECONDS), pl.col("declared_duration") * TOLERANCE)
    apart = done.filter(gap > limit)
    return Verdict(apart.is_empty(), {"compared": done.height, "apart": apart["source"].to_list()[:20]})


def segments_in_order(segments: pl.DataFrame, raw_audio: pl.DataFrame) -> Verdict:
    """Starts in order within an episode, ends after starts, all inside the episode."""
    joined = segments.join(
        raw_audio.select("episode_id", pl.col("duration").alias("length")),
        on="episode_id",
        how="left",
        maintain_order="left",
    )
    wrong = joined.filter(
        (pl.col("start") < 0)
        | (pl.col("end") <= pl.col("start"))
        | (pl.col("end") > pl.col("length") + MILLISECOND)
        | pl.col("length").is_null()
        | (pl.col("start") < pl.col("start").shift(1).over("episode_id"))
        | pl.col("segment_id").is_duplicated()
    )
    return Verdict(wrong.is_empty(), {"segments": segments.height, "wrong": wrong["segment_id"].to_list()[:20]})


def words_in_order(transcripts: pl.DataFrame, segments: pl.DataFrame) -> Verdict:
    """Words that have times start in order and lie inside their segment (to the millisecond)."""
    words = (
        transcripts.select("segment_id", "words")
        .explode("words", empty_as_null=False)
        .drop_nulls("words")
        .unnest("words")
        .drop_nulls(["start", "end"])
        .rename({"start": "word_start", "end": "word_end"})
        .join(segments.select("segment_id", "start", "end"), on="segment_id", how="left", maintain_order="left")
    )
    wrong = words.filter(
        (pl.col("word_start") < pl.col("start") - MILLISECOND)
        | (pl.col("word_end") > pl.col("end") + MILLISECOND)
        | (pl.col("word_end") < pl.col("word_start"))
        | (pl.col("word_start") < pl.col("word_start").shift(1).over("segment_id"))
    )
    ids = wrong["segment_id"].unique(maintain_order=True).to_list()
    return Verdict(wrong.is_empty(), {"words_with_times": words.height, "wrong": ids[:20]})


def not_degraded(table: pl.DataFrame) -> Verdict:
    """No row is degraded."""
    share = float(table["degraded"].mean() or 0.0) if table.height else 0.0  # type: ignore[arg-type]
    return Verdict(share == 0.0, {"degraded_share": share})


def speakers_known(segments: pl.DataFrame) -> Verdict:
    """Every segment has a speaker: where the diarizer fails, segments go on without."""
    unknown = segments.filter(pl.col("speaker").is_null())
    episodes = unknown["episode_id"].unique(maintain_order=True).to_list()
    return Verdict(unknown.is_empty(), {"segments_without_speaker": unknown.height, "episodes": episodes[:20]})


def below_cap(speakers: Mapping[str, int], cap: int | None) -> Verdict:
    """No episode reaches the most speakers that a diarizer can tell apart: there may be more than it found.

    Args:
        speakers: episode → number of its speakers.
        cap: None where the diarizer has none.
    """
    at_cap = [name for name, count in speakers.items() if cap is not None and count >= cap]
    return Verdict(not at_cap, {"cap": cap or "none", "at_cap": at_cap[:20]})


def languages_agree(transcripts: pl.DataFrame, segments: pl.DataFrame) -> Verdict:
    """In at most 5 % of the speech, sound and text speak of another language than the segment's."""
    rows = transcripts.join(
        segments.select("segment_id", "duration"), on="segment_id", how="left", maintain_order="left"
    )
    odd = rows.filter(
        pl.col("flags").list.contains("language_differs")
        | different_languages(pl.col("language"), pl.col("text_language"))
    )
    total, apart = float(rows["duration"].sum()), float(odd["duration"].sum())
    share = apart / total if total else 0.0
    return Verdict(share <= LANGUAGE_SHARE, {"share": round(share, 4), "segments": odd["segment_id"].to_list()[:20]})


def scores_in_range(scores: pl.DataFrame, segments: pl.DataFrame) -> Verdict:
    """One row of scores per segment; MOS from 1 to 5 (its fit may pass the ends a little), shares from 0 to 1, no NaN.

    Args:
        scores: rows of `quality_scores`.
        segments: segments of the episodes that were scored: a failed episode is the one cause of missing rows.
    """
    mos = [c for c in scores.columns if c.startswith("dnsmos_")]
    shares = [c for c in scores.columns if c.endswith("_share") or c == "ngram_repetition"]
    wrong = scores.filter(
        pl.any_horizontal(
            *(~pl.col(c).is_between(0.5, 5.5) for c in mos),
            *(~pl.col(c).is_between(0, 1) for c in shares),
            *(pl.col(c).is_nan() for c in scores.columns if scores.schema[c] == pl.Float64),
        )
    )
    missing = segments.join(scores, on="segment_id", how="anti", maintain_order="left")["segment_id"]
    return Verdict(
        wrong.is_empty() and missing.is_empty(),
        {
            "rows": scores.height,
            "wrong": wrong["segment_id"].to_list()[:20],
            "unscored": missing.len(),
            "without_row": missing.to_list()[:20],
        },
    )


def metadata_coverage(
    without_metadata: list[str],
    without_file: list[str],
    duplicate_ids: list[str],
    counts: Mapping[str, int] | None = None,
) -> Verdict:
    """Files and metadata rows that found each other; `counts` says how many there are of what is named only in part."""
    return Verdict(
        not (without_metadata or without_file or duplicate_ids),
        {
            "files_without_metadata": without_metadata[:50],
            "metadata_without_file": without_file[:50],
            "duplicate_ids": duplicate_ids[:50],
            **(counts or {}),
        },
    )
