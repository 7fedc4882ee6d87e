"""Which episodes of a batch the stages leave out because people discarded them."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import polars as pl

from podcast_assets.stages.stage import Episode, Stage, stage_fingerprints
from podcast_assets.store.commits import CommittedTable


def without_discarded(
    stage: Stage, episodes: Sequence[Episode], committed: CommittedTable, discarded: Collection[str]
) -> list[Episode]:
    """Leave out the discarded episodes, except those whose result is committed: a discard removes nothing.

    Args:
        stage: the stage.
        episodes: all its episodes.
        committed: what the last run committed.
        discarded: ids of the discarded episodes of the batch.
    """
    affected = [e for e in episodes if e.episode_id in discarded]
    fingerprints = stage_fingerprints(stage, affected)
    left_out = {e for e, fingerprint in fingerprints.items() if committed.entry(e, fingerprint) is None}
    return [e for e in episodes if e.episode_id not in left_out]


def expected_episodes(expected: Iterable[str], committed: CommittedTable, discarded: Collection[str]) -> list[str]:
    """Ids of the episodes that a committed table must account for: a discarded one may be missing."""
    found = {*committed.fingerprints, *committed.failed}
    return [e for e in expected if e in found or e not in discarded]


def skip_discarded_files(rows: pl.DataFrame, discarded: Mapping[str, str]) -> pl.DataFrame:
    """Rows of `raw_audio` in which discarded files that are not done are skipped, with the reason.

    Args:
        rows: rows of `raw_audio`.
        discarded: ids of the discarded episodes of the batch, with the reason shown to people.
    """
    if not discarded:
        return rows
    affected = (pl.col("status") == "failed") & pl.col("episode_id").is_in(list(discarded))
    reason = pl.col("episode_id").replace_strict(discarded, default=None, return_dtype=pl.String)
    return rows.with_columns(
        status=pl.when(affected).then(pl.lit("skipped")).otherwise("status"),
        error=pl.when(affected).then(reason).otherwise("error"),
    )
