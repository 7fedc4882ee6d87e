"""Content flags in a release: which segments rules leave out, and the column that tells readers what was said of each.

Flags of older texts count for nothing. Where rules are set, they stop the release until `content_flags` is materialized again.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.common.wording import count_noun
from podcast_assets.config.content_rules import ContentRule
from podcast_assets.moderation.rules import select_segments, unknown_rules
from podcast_assets.moderation.summary import SEGMENT_FLAGS, flags_by_segment
from podcast_assets.moderation.texts import outdated_segments
from podcast_assets.store.schema import CONTENT_FLAGS
from podcast_assets.store.store import STORE_READERS, Store, table_key

log = logging.getLogger(__name__)

COLUMN = "content_flags"
"""Column of the metadata tables, where moderation policies judged any batch."""
COLUMN_DESCRIPTION = (
    "what moderation policies say of the text: policy, label, probability (null where there is none) and verdict (flagged, clean, "
    "needs_review, not_judged); null if it was not judged"
)
EXCLUDED = "content flag: "
"""Beginning of the reason of segments that a rule leaves out; the rule follows."""
UNJUDGED = f"{EXCLUDED}not judged"
"""Reason of segments that no policy of the rules judged, because the episode failed there."""
_REASONS = pl.Schema({"batch": pl.String, "segment_id": pl.String, "episode_id": pl.String, "reason": pl.String})


@dataclass(frozen=True)
class ReleaseFlags:
    """Content flags of sealed segments."""

    column: pl.DataFrame | None
    """batch, segment_id, content_flags; None where no batch has any."""
    excluded: pl.DataFrame
    """batch, segment_id, episode_id, reason: what rules leave out."""


def read_flags(store: Store, sealed: Mapping[str, pl.DataFrame], rules: Sequence[ContentRule]) -> ReleaseFlags:
    """Read the content flags of batches, and apply rules to them.

    Args:
        store: the store.
        sealed: batch → its sealed segments, with `segment_id`, `episode_id` and `text`.
        rules: rules about content flags; a segment that fulfils any of them is left out.

    Raises:
        BadInput: rules are set, and a batch has no flags of a policy that they name, or flags of older texts.
    """
    with ThreadPoolExecutor(STORE_READERS) as readers:
        read = readers.map(lambda b: store.read_table(table_key("content_flags", b), CONTENT_FLAGS), sealed)
        flags = dict(zip(sealed, read, strict=True))
    if rules:
        _require_flags(flags, rules)
    columns, excluded = [], [_REASONS.to_frame()]
    for batch, table in flags.items():
        if table is None:
            continue
        texts = sealed[batch]
        outdated = outdated_segments(table, texts)
        if outdated.height:
            _report_outdated(batch, outdated, stop=bool(rules))
        column = flags_by_segment(table).filter(~pl.col("segment_id").is_in(outdated["segment_id"].implode()))
        columns.append(column.with_columns(batch=pl.lit(batch)))
        if rules:
            excluded.append(_excluded(batch, table, texts, rules))
    return ReleaseFlags(pl.concat(columns) if columns else None, pl.concat(excluded))


def add_column(rows: pl.DataFrame, flags: ReleaseFlags) -> pl.DataFrame:
    """Add the column `content_flags` to rows with `batch` and `segment_id`, where any batch has flags."""
    if flags.column is None:
        return rows
    return rows.join(flags.column, on=["batch", "segment_id"], how="left", maintain_order="left")


def flag_statistics(rows: pl.DataFrame) -> pl.DataFrame:
    """Count released segments and hours by policy, label and verdict.

    Args:
        rows: rows of the metadata tables, with `duration` (s), and `content_flags` where there are any.
    """
    if COLUMN not in rows.columns or rows.schema[COLUMN] != pl.List(SEGMENT_FLAGS):
        return pl.DataFrame()
    return (
        rows.select("duration", COLUMN)
        .explode(COLUMN)
        .drop_nulls(COLUMN)
        .unnest(COLUMN)
        .group_by("policy", "label", "verdict")
        .agg(segments=pl.len(), hours=pl.col("duration").sum() / 3600)
        .sort("policy", "label", "verdict")
    )


def _require_flags(flags: Mapping[str, pl.DataFrame | None], rules: Sequence[ContentRule]) -> None:
    for batch, table in flags.items():
        if table is None:
            raise BadInput(
                f"batch {batch} has no content flags (of this version), so PODCAST_EXCLUDE cannot be applied: set "
                "PODCAST_MODERATION and materialize content_flags of it, or unset PODCAST_EXCLUDE"
            )
        labels: list[tuple[str, str]] = list(table.select("policy", "label").unique().sort(pl.all()).iter_rows())
        # a batch without words has no rows, and nothing that could be left out
        if table.height and (unknown := unknown_rules(labels, rules)):
            known = ", ".join(f"{policy}.{label}" for policy, label in labels)
            raise BadInput(
                f"batch {batch}: PODCAST_EXCLUDE names {unknown[0].text!r}, but its content flags are of {known}: correct the "
                "rule, or add the moderation policy to PODCAST_MODERATION and materialize content_flags again"
            )


def _report_outdated(batch: str, outdated: pl.DataFrame, *, stop: bool) -> None:
    segments = outdated["segment_id"].unique(maintain_order=True)
    policies = ", ".join(outdated["policy"].unique().sort())
    what = (
        f"batch {batch}: content flags of {count_noun(segments.len(), 'segment')} are of older texts than the shards (policies "
        f"{policies}; the first is {segments[0]})"
    )
    if stop:
        raise BadInput(f"{what}: materialize content_flags again, then release")
    log.warning("%s: they are left out; materialize content_flags again", what)


def _excluded(batch: str, flags: pl.DataFrame, sealed: pl.DataFrame, rules: Sequence[ContentRule]) -> pl.DataFrame:
    """Return what is left out of a batch: segments that a rule selects, and those with words that a policy has not judged."""
    selected = select_segments(flags, rules).with_columns(reason=pl.lit(EXCLUDED) + pl.col("rule"))
    named = {r.policy for r in rules if r.policy} | {
        policy
        for policy, label in flags.select("policy", "label").unique().iter_rows()
        if any(r.policy is None and (r.is_verdict or r.target == label) for r in rules)
    }
    judged = flags.select("policy", segment_id="segment_ids").explode("segment_id").unique()
    complete = (
        judged.filter(pl.col("policy").is_in(list(named)))
        .group_by("segment_id")
        .len()
        .filter(pl.col("len") == len(named))
    )
    spoken = sealed.filter(pl.col("text").fill_null("").str.strip_chars() != "")
    unjudged = spoken.filter(
        ~pl.col("segment_id").is_in(complete["segment_id"].implode()),
        ~pl.col("segment_id").is_in(selected["segment_id"].implode()),
    )
    reasons = pl.concat(
        [selected.select("segment_id", "reason"), unjudged.select("segment_id", reason=pl.lit(UNJUDGED))]
    )
    # the flags know which episode a segment belongs to even where it is not sealed, which counts for whole episodes
    episodes = pl.concat(
        [
            flags.select("episode_id", segment_id="segment_ids").explode("segment_id").drop_nulls(),
            sealed.select("episode_id", "segment_id"),
        ]
    ).unique("segment_id")
    return (
        reasons.join(episodes, on="segment_id", how="left")
        .with_columns(batch=pl.lit(batch))
        .sort("segment_id")
        .select(list(_REASONS))
    )
