"""Asset checks of every table: their specs, and pure functions from tables to verdicts.

Assets run their checks right after they commit a batch. A blocking check that fails stops downstream assets. Checks of optional
assets never block.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.common.warned import BatchWarning
from podcast_assets.config.groups.speech import NO_DIARIZER
from podcast_assets.speech.languages.codes import different_languages
from podcast_assets.stages.batch_warnings import summary_lines

TOLERANCE = 0.02
"""Share by which declared and decoded durations may differ: containers round, and encoders pad."""
TOLERANCE_SECONDS = 1.0
"""Difference between declared and decoded durations, in seconds, that is always accepted."""
MILLISECOND = 0.001
LANGUAGE_SHARE = 0.05
"""Largest accepted share of speech in another language: borrowed words and short answers stay below it."""


@dataclass(frozen=True)
class Verdict:
    """Result of a check for one batch."""

    passed: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Metadata that explain the result."""


_NO_FAILURES = ("no_failures", "No episode failed in this stage.", False)

SPECS: dict[str, dict[str, dg.AssetCheckSpec]] = {
    asset: {
        name: dg.AssetCheckSpec(name, asset=asset, description=description, blocking=blocking)
        for name, description, blocking in specs
    }
    for asset, specs in {
        "raw_audio": [
            (
                "episodes_accounted",
                "Every file of the batch has exactly one row, which says done, failed or skipped.",
                True,
            ),
            _NO_FAILURES,
            ("durations_agree", "Decoded audio is as long as the file's header declares.", False),
            ("metadata_coverage", "Every episode has a metadata row, and every metadata row has an episode.", False),
            (
                "no_warnings",
                "Nothing in the batch deserves a look: no file failed or was read with a warning, and all metadata were used.",
                False,
            ),
        ],
        "diarized_segments": [
            (
                "episodes_accounted",
                "Every episode of raw_audio was diarized, even if no speech was found, or failed.",
                True,
            ),
            _NO_FAILURES,
            ("times_in_order", "Segments start in order, end after their start, and lie inside their episode.", True),
            ("speech_found", "Speech was found in every episode.", False),
            ("speakers_known", "Every segment has a speaker.", False),
            (
                "below_speaker_cap",
                "No episode reaches the maximum number of speakers that the diarizer can tell apart.",
                False,
            ),
        ],
        "transcripts": [
            ("episodes_accounted", "Every episode of diarized_segments was transcribed or failed.", True),
            _NO_FAILURES,
            ("times_in_order", "Words start in order and lie inside their segment.", True),
            ("not_degraded", "No row was made by an embedded engine or a fallback.", False),
            (
                "languages_agree",
                "At most 5 % of the speech sounds or reads like another language than the declared one.",
                False,
            ),
        ],
        "second_opinions": [
            (
                "episodes_accounted",
                "Every episode of diarized_segments was transcribed a second time or failed.",
                False,
            ),
            _NO_FAILURES,
        ],
        "punctuated_texts": [
            ("episodes_accounted", "Every episode with a transcript was punctuated or failed.", False),
            _NO_FAILURES,
        ],
        "quality_scores": [
            ("episodes_accounted", "Every episode of transcripts was scored or failed.", True),
            _NO_FAILURES,
            (
                "scores_in_range",
                "Every score is in its valid range, and every segment of the scored episodes has a row.",
                True,
            ),
            (
                "kept_share_steady",
                "The policy keeps about the same share of the speech as in earlier batches.",
                False,
            ),
            ("degraded_share", "At most 10 % of the speech was made by an embedded engine or a fallback.", False),
            ("scores_covered", "At least 95 % of the speech in segments of 1 s or more has each score.", False),
            (
                "hallucination_share",
                "At most 2 % of the speech has a hallucinated text, judged by the text rules.",
                False,
            ),
            ("kept_in_one_language", "At most 5 % of the kept speech sounds or reads like another language.", False),
        ],
        "content_flags": [
            (
                "episodes_accounted",
                "Every episode in which something was said was judged by every moderation policy, or failed.",
                False,
            ),
            _NO_FAILURES,
            (
                "policies_judged",
                "Every moderation policy judged the batch: its classifier is there, and answers the calibration probes rightly.",
                False,
            ),
            (
                "windows_answered",
                "At most 2 % of the windows need review, because they have no readable answer.",
                False,
            ),
            (
                "flagged_share_steady",
                "About the same share of the windows is flagged as in earlier batches.",
                False,
            ),
        ],
        "hf_shards": [
            ("episodes_accounted", "Every scored segment is in a shard, or its episode failed.", True),
            _NO_FAILURES,
            ("read_back_equal", "The shards, read back from the store, hold what the table says.", True),
        ],
        "episode_shards": [
            (
                "episodes_accounted",
                "Every episode with sealed segments is in a shard as a whole episode, or failed.",
                False,
            ),
            _NO_FAILURES,
            ("read_back_equal", "The shards, read back from the store, hold what the table says.", False),
        ],
        "catalog": [
            (
                "batch_loaded",
                "The catalog has the batch as the store has it: every row, with what it belongs to.",
                False,
            ),
        ],
    }.items()
}
"""Checks by asset and name."""

RELEASE_SPECS: dict[str, dg.AssetCheckSpec] = {
    name: dg.AssetCheckSpec(name, asset="hf_dataset", description=description)
    for name, description in (
        ("published_equal", "Every shard is published with the expected size and hash."),
        ("all_released", "No episode is withheld because of its rights, and no segment because of its quality."),
    )
}
"""Checks of `hf_dataset`, which is not partitioned by batch."""

REVIEW_SPECS: dict[str, dg.AssetCheckSpec] = {
    "all_published": dg.AssetCheckSpec(
        "all_published",
        asset="review_decisions",
        description="The decisions of every batch are published, and every takedown that was asked for is carried out.",
    )
}
"""Checks of `review_decisions`, which is not partitioned by batch."""


def all_accounted(expected: list[str], done: list[str], failed: list[str]) -> Verdict:
    """Check that every expected episode (or segment) is done or failed exactly once, and that there are no others."""
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
    """Check that no episode failed in the stage."""
    return Verdict(
        failures.is_empty(),
        {
            "failed": failures.height,
            "sources": failures["source"].to_list()[:20],
            "errors": failures["message"].to_list()[:20],
        },
    )


def files_accounted(table: pl.DataFrame, files: int) -> Verdict:
    """Check that `raw_audio` has exactly one row for every file of the batch, and a reason for every file that is not done.

    Args:
        table: rows of `raw_audio`.
        files: number of files in the batch.
    """
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
    """Check that decoded and declared durations agree, for finished episodes whose header declares one."""
    done = table.filter(pl.col("status") == "done", pl.col("declared_duration").is_not_null())
    gap = (pl.col("duration") - pl.col("declared_duration")).abs()
    limit = pl.max_horizontal(pl.lit(TOLERANCE_SECONDS), pl.col("declared_duration") * TOLERANCE)
    apart = done.filter(gap > limit)
    return Verdict(apart.is_empty(), {"compared": done.height, "apart": apart["source"].to_list()[:20]})


def segments_in_order(segments: pl.DataFrame, raw_audio: pl.DataFrame) -> Verdict:
    """Check that segments start in order, end after their start, and lie inside their episode, with unique ids."""
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
    """Check that words with times start in order and lie inside their segment, to the millisecond."""
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
    """Check that no row was made by an embedded engine or a fallback."""
    share = float(table["degraded"].mean() or 0.0) if table.height else 0.0  # type: ignore[arg-type]
    return Verdict(share == 0.0, {"degraded_share": share})


def speakers_known(segments: pl.DataFrame) -> Verdict:
    """Check that every segment has a speaker. If the diarizer fails, segments have none; the diarizer `none` is not expected to."""
    unknown = segments.filter(pl.col("speaker").is_null(), pl.col("engine").ne_missing(NO_DIARIZER))
    episodes = unknown["episode_id"].unique(maintain_order=True).to_list()
    return Verdict(unknown.is_empty(), {"segments_without_speaker": unknown.height, "episodes": episodes[:20]})


def below_speaker_cap(speakers: Mapping[str, int], cap: int | None) -> Verdict:
    """Check that no episode reaches the maximum number of speakers of the diarizer; such an episode may have more.

    Args:
        speakers: number of speakers of each episode.
        cap: maximum number that the diarizer can tell apart; None if it has no limit.
    """
    at_cap = [name for name, count in speakers.items() if cap is not None and count >= cap]
    return Verdict(not at_cap, {"cap": cap or "none", "at_cap": at_cap[:20]})


def languages_agree(transcripts: pl.DataFrame, segments: pl.DataFrame) -> Verdict:
    """Check that at most `LANGUAGE_SHARE` of the speech sounds or reads like another language than the segment's."""
    rows = transcripts.join(
        segments.select("segment_id", "duration"), on="segment_id", how="left", maintain_order="left"
    )
    other_language = rows.filter(
        pl.col("flags").list.contains("language_differs")
        | different_languages(pl.col("language"), pl.col("text_language"))
    )
    total = float(rows["duration"].sum())
    share = float(other_language["duration"].sum()) / total if total else 0.0
    return Verdict(
        share <= LANGUAGE_SHARE,
        {"share": round(share, 4), "segments": other_language["segment_id"].to_list()[:20]},
    )


def scores_in_range(scores: pl.DataFrame, segments: pl.DataFrame) -> Verdict:
    """Check that every segment has a row, and that scores are valid: MOS 0.5 to 5.5, shares 0 to 1, no NaN.

    The scale of MOS is 1 to 5, but the polynomials of DNSMOS can slightly exceed it.

    Args:
        scores: rows of `quality_scores`.
        segments: segments of the episodes that were scored. Those of failed episodes have no rows.
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


def no_warnings(warnings: Sequence[BatchWarning]) -> Verdict:
    """Check that nothing deserves a look. Files that are only skipped are in the summary, and fail no check."""
    kinds = Counter(w.kind for w in warnings if w.kind != "skipped")
    return Verdict(not kinds, {"warnings": summary_lines(warnings)[:50], **kinds})


def speech_found(episodes: Mapping[str, str], with_segments: Collection[str]) -> Verdict:
    """Check that every diarized episode has a segment.

    Args:
        episodes: id → file of the episodes that were diarized.
        with_segments: ids of the episodes with segments.
    """
    silent = [source for identity, source in episodes.items() if identity not in with_segments]
    return Verdict(not silent, {"without_speech_count": len(silent), "without_speech": silent[:20]})


def metadata_coverage(
    without_metadata: list[str],
    without_file: list[str],
    duplicate_ids: list[str],
    counts: Mapping[str, int] | None = None,
) -> Verdict:
    """Check that every file has a metadata row and every metadata row has a file.

    Args:
        without_metadata: files without a metadata row.
        without_file: ids of metadata rows without a file.
        duplicate_ids: ids of several metadata rows.
        counts: total numbers, for the verdict's facts; the lists may be cut off.
    """
    return Verdict(
        not (without_metadata or without_file or duplicate_ids),
        {
            "files_without_metadata": without_metadata[:50],
            "metadata_without_file": without_file[:50],
            "duplicate_ids": duplicate_ids[:50],
            **(counts or {}),
        },
    )
