"""Policy trial: what a policy would keep of scored batches, compared with the current one. Changes nothing and runs no model."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import polars.selectors as cs

from podcast_assets.common.errors import BadInput
from podcast_assets.quality.policies import waterfall
from podcast_assets.quality.policies.evidence import collect_evidence
from podcast_assets.quality.policies.policy import Policy, apply_policy
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.store import DamagedTable, Store, table_key

_TABLES = ("quality_scores", "diarized_segments", "transcripts")
AMOUNTS = ("everything", "kept", "kept_in_force", "gained", "lost")
_READERS = 4
"""Batches read at once: over a network each file takes tens of milliseconds. Each is in memory while it is evaluated."""


@dataclass(frozen=True)
class SpeechAmount:
    """Amount of speech."""

    segments: int = 0
    hours: float = 0.0

    def __add__(self, other: "SpeechAmount") -> "SpeechAmount":
        return SpeechAmount(self.segments + other.segments, self.hours + other.hours)

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "SpeechAmount":
        """Sum the given segments."""
        return cls(rows.height, float(rows["duration"].sum()) / 3600)


@dataclass(frozen=True)
class PolicyTrial:
    """Comparison of a policy with the one in force."""

    policy: str
    in_force: list[str]
    """Current policies of the batches."""
    batches: list[str]
    everything: SpeechAmount
    kept: SpeechAmount
    kept_in_force: SpeechAmount
    gained: SpeechAmount
    """Kept by this policy but not by the current one."""
    lost: SpeechAmount
    """Kept by the current policy but not by this one."""
    losses: pl.DataFrame
    """Rows of `waterfall.LOSSES`."""
    notes: list[str] = field(default_factory=list)
    """Notes about inactive rules and skipped batches."""

    def to_json(self) -> dict[str, Any]:
        """Return the trial as JSON values, with hours to the second."""
        return {
            "policy": self.policy,
            "in_force": self.in_force,
            "batches": self.batches,
            **{
                name: {"segments": getattr(self, name).segments, "hours": round(getattr(self, name).hours, 4)}
                for name in AMOUNTS
            },
            "reasons": self.losses.with_columns(cs.float().round(4)).to_dicts(),
            "notes": self.notes,
        }


def scored_batches(store: Store) -> list[str]:
    """Return the batches that have a table of scores, in order."""
    return list(store.table_names("tables/quality_scores"))


def try_policy(store: Store, policy: Policy, batches: Iterable[str] | None = None) -> PolicyTrial:
    """Compute what a policy would keep.

    Args:
        store: the store with the batches.
        policy: the policy to try.
        batches: batches to use; None for all with scores of this version, with a note about the others.

    Raises:
        BadInput: a batch has no scores, or they were written by another version.
        Misconfigured: the policy uses columns that the tables do not have.
    """
    chosen = scored_batches(store) if batches is None else list(dict.fromkeys(batches))
    left_out: list[str] = []

    def judge(batch: str) -> PolicyTrial | None:
        tables = {asset: _read_table(store, asset, batch) for asset in _TABLES}
        missing = [asset for asset, table in tables.items() if table is None]
        if missing and batches is not None:
            raise BadInput(
                f"batch {batch}: {missing[0]} is not materialized (by this version), or damaged; materialize it first"
            )
        if missing:
            left_out.append(batch)
            return None
        return _try_on_batch(batch, policy, *(t for t in tables.values() if t is not None))

    with ThreadPoolExecutor(_READERS) as readers:
        trials = [t for t in readers.map(judge, chosen) if t is not None]
    notes = list(dict.fromkeys(note for t in trials for note in t.notes))
    if left_out:
        notes.append(
            f"left out, as their tables are of another version, or damaged: {', '.join(sorted(left_out)[:10])}"
        )
    return PolicyTrial(
        policy=policy.label,
        in_force=sorted({label for t in trials for label in t.in_force}),
        batches=[b for t in trials for b in t.batches],
        losses=waterfall.sum_losses((t.losses for t in trials), policy.reasons),
        notes=notes,
        **{name: sum((getattr(t, name) for t in trials), SpeechAmount()) for name in AMOUNTS},
    )


def _read_table(store: Store, asset: str, batch: str) -> pl.DataFrame | None:
    try:
        return store.read_table(table_key(asset, batch), ASSETS[asset])
    except DamagedTable:  # the caller names the batch
        return None


def _try_on_batch(
    batch: str, policy: Policy, scores: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame
) -> PolicyTrial:
    evidence = collect_evidence(scores.drop("keep", "reject_reasons", "policy"), segments, transcripts)
    judged = apply_policy(evidence, policy).select(
        "duration", "keep", "reject_reasons", kept_before=scores["keep"].fill_null(value=False)
    )
    return PolicyTrial(
        policy=policy.label,
        in_force=scores["policy"].drop_nulls().unique().to_list(),
        batches=[batch],
        everything=SpeechAmount.of(judged),
        kept=SpeechAmount.of(judged.filter("keep")),
        kept_in_force=SpeechAmount.of(judged.filter("kept_before")),
        gained=SpeechAmount.of(judged.filter(pl.col("keep") & ~pl.col("kept_before"))),
        lost=SpeechAmount.of(judged.filter(~pl.col("keep") & pl.col("kept_before"))),
        losses=waterfall.rejection_losses(judged, policy.reasons),
        notes=[*policy.notes(evidence.columns), *policy.notes_on_values(evidence)],
    )
