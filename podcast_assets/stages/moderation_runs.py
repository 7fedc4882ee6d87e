"""One table of content flags for several moderation policies, each of which is judged by a stage of its own.

So a policy whose classifier is missing, or fails, takes nothing from the others, and a policy that is added does not judge again
what the others judged. Pure functions on committed tables and runs.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.moderation.texts import text_hash
from podcast_assets.stages.moderate import Moderate
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.stage import Episode
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import CONTENT_FLAGS, FAILURES, PROVENANCE, empty_table, make_table


def committed_for(committed: CommittedTable, policy: str) -> CommittedTable:
    """Return the part of a committed table that one policy made, as if it were alone in it."""
    if committed.table is None:
        return committed
    rows = committed.table.filter(pl.col("policy") == policy)
    done: dict[str, str] = dict(rows.select("episode_id", "fingerprint").unique(maintain_order=True).iter_rows())
    engines: dict[str, str] = dict(rows.select("episode_id", "engine").unique(maintain_order=True).iter_rows())
    heights: dict[str, int] = dict(rows.group_by("episode_id").len().iter_rows())
    provenance = []
    for row in committed.provenance.filter(pl.col("episode_id").is_in(list(done))).iter_rows(named=True):
        episode = row["episode_id"]
        details = json.loads(row["made_with"] or "{}").get("policies", {})
        provenance.append(
            row
            | {
                "fingerprint": done[episode],
                "rows": heights[episode],
                "engine": engines[episode],
                "made_with": json.dumps(details.get(policy)),
                # what each took is not kept
                "seconds": row["seconds"] / max(len(details), 1),
            }
        )
    failures = committed.failures.filter(pl.col("message").str.starts_with(f"{policy}: ")).with_columns(
        pl.col("message").str.slice(len(policy) + 2)
    )
    failed: dict[str, str] = dict(failures.select("episode_id", "fingerprint").iter_rows())
    return CommittedTable(rows, done, failed, make_table(provenance, PROVENANCE), failures)


def rows_still_valid(committed: CommittedTable, policy: str, digest: str, episodes: Sequence[Episode]) -> pl.DataFrame:
    """Return the earlier rows of a policy that cannot judge now, for the episodes whose texts have not changed.

    Args:
        committed: what the last run committed.
        policy: name of the policy.
        digest: hash of its file; rows by another version are not valid.
        episodes: work items of the policy.
    """
    if committed.table is None:
        return empty_table(CONTENT_FLAGS)
    rows = committed.table.filter(pl.col("policy") == policy, pl.col("policy_hash") == digest)
    judged = rows.select("episode_id", "segment_ids", "text_hashes").explode("segment_ids", "text_hashes").unique()
    then: dict[str, set[tuple[str, str]]] = {}
    for episode, segment, text in judged.iter_rows():
        then.setdefault(episode, set()).add((segment, text))
    unchanged = [
        e.episode_id
        for e in episodes
        if then.get(e.episode_id)
        == {(s, text_hash(t)) for s, t in e.inputs["texts"].select("segment_id", "text").iter_rows()}
    ]
    return rows.filter(pl.col("episode_id").is_in(unchanged))


def merge_runs(
    batch: str,
    runs: Mapping[str, StageRun],
    carried: Mapping[str, pl.DataFrame],
    committed: CommittedTable,
    order: Sequence[str],
    any_stage: Moderate,
) -> StageRun:
    """Merge the runs of several policies into one, with one provenance row per episode that any policy judged.

    Args:
        batch: the batch.
        runs: policy → its run.
        carried: policy → earlier rows that stay, because it could not judge now.
        committed: what the last run committed.
        order: ids of the episodes, in the batch's order.
        any_stage: stage of one of the policies.
    """
    tables = {name: run.table() for name, run in runs.items()} | dict(carried)
    provenances = {name: _by_episode(run.provenance) for name, run in runs.items()}
    for name, rows in carried.items():
        earlier = _by_episode(committed_for(committed, name).provenance)
        provenances[name] = {e: earlier[e] for e in rows["episode_id"].unique(maintain_order=True) if e in earlier}
    rows = pl.concat([empty_table(CONTENT_FLAGS), *tables.values()])
    split = {str(k[0]): v for k, v in rows.partition_by("episode_id", as_dict=True).items()}
    provenance = [
        _merge_provenance({name: found[e] for name, found in provenances.items() if e in found})
        for e in order
        if any(e in found for found in provenances.values())
    ]
    failures: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        for row in run.failures.iter_rows(named=True):
            failures.setdefault(row["episode_id"], row | {"message": f"{name}: {row['message']}"})
    return StageRun(
        stage=any_stage,
        batch=batch,
        checkpoints=None,
        provenance=make_table(provenance, PROVENANCE),
        failures=make_table([failures[e] for e in order if e in failures], FAILURES),
        ran=max((run.ran for run in runs.values()), default=0),
        audio_seconds=max((run.audio_seconds for run in runs.values()), default=0.0),
        seconds=sum(run.seconds for run in runs.values()),
        discarded=next((run.discarded for run in runs.values()), {}),
        rows_in_memory={row["episode_id"]: split.get(row["episode_id"], rows.clear()) for row in provenance},
    )


def accounted(expected: Collection[str], run: StageRun) -> tuple[list[str], list[str]]:
    """Episodes of a merged run that every policy judged, and those that one failed: none is in both."""
    failed = set(run.failures["episode_id"])
    return [e for e in run.done if e not in failed], [e for e in expected if e in failed]


def _by_episode(provenance: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["episode_id"]: row for row in provenance.iter_rows(named=True)}


def _merge_provenance(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One row of an episode of those of the policies that judged it."""
    latest = max(rows.values(), key=lambda row: row["finished_at"])
    engines = sorted({engine for row in rows.values() for engine in (row["engine"] or "").split(", ") if engine})
    return dict(latest) | {
        "fingerprint": fingerprint(policies={name: row["fingerprint"] for name, row in rows.items()}),
        "rows": sum(row["rows"] for row in rows.values()),
        "engine": ", ".join(engines) or None,
        "made_with": _merge_descriptions({n: json.loads(row["made_with"] or "null") or {} for n, row in rows.items()}),
        "seconds": round(sum(row["seconds"] for row in rows.values()), 3),
    }


def _merge_descriptions(made_with: Mapping[str, Mapping[str, Any]]) -> str:
    """Describe what made an episode's rows as `describe_engine` does, with a description for each policy."""
    packages = {name: version for d in made_with.values() for name, version in (d.get("packages") or {}).items()}
    versions = {"stage": Moderate.name, "version": Moderate.version}
    return json.dumps({**versions, "packages": packages, "policies": made_with}, sort_keys=True)
