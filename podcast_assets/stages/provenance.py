"""What made the rows of an episode: its row of provenance, and the columns that a stage's own rows have for it."""

import datetime
import json
from typing import Any

import polars as pl

from podcast_assets.common.redaction import redact_cell
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.compute.base import EpisodeOutcome
from podcast_assets.stages.stage import Episode, Stage, engine_for, episode_seconds
from podcast_assets.store.schema import schema


def provenance_row(
    stage: Stage, outcome: EpisodeOutcome, rows: pl.DataFrame, fingerprint: str, made_with: str
) -> dict[str, Any]:
    """Return the provenance of an episode that is done, a row of PROVENANCE.

    Args:
        stage: the stage that did it.
        outcome: where it was computed, in what time, and by which fallback.
        rows: the rows that the stage made of it.
        fingerprint: of everything that determined them.
        made_with: result of `describe_engine` for the episode's engine.
    """
    episode = outcome.result.episode
    engine = engine_for(stage, episode)
    return {
        "episode_id": episode.episode_id,
        "source": episode.source,
        "fingerprint": fingerprint,
        "rows": rows.height,
        "engine": _engine_names(engine, rows),
        "fallback": outcome.result.fallback,
        "redone": _redone(rows),
        "made_with": made_with,
        "node": outcome.place.node,
        "address": outcome.place.address,
        "gpu": outcome.place.gpu,
        "worker": outcome.place.worker,
        "audio_seconds": episode_seconds(episode, rows),
        "seconds": round(outcome.seconds, 3),
        "finished_at": datetime.datetime.now(datetime.UTC),
    }


def add_provenance_columns(stage: Stage, episode: Episode, rows: pl.DataFrame, fingerprint: str) -> pl.DataFrame:
    """Add the columns `engine`, `degraded` and `fingerprint` where the stage has them and its rows do not.

    Returns:
        The rows with exactly the stage's columns, in their order and types.
    """
    engine = engine_for(stage, episode)
    made_by = {
        "engine": pl.lit(engine.name if engine else None, pl.String),
        "degraded": pl.lit(engine is not None and engine.embedded),
        "fingerprint": pl.lit(fingerprint),
    }
    missing = {k: v.alias(k) for k, v in made_by.items() if k not in rows.columns}
    return rows.select(missing.get(name, pl.col(name)).cast(dtype) for name, dtype in schema(stage.columns).items())


def _engine_names(engine: Engine | None, rows: pl.DataFrame) -> str | None:
    """The engines named in the rows, where the stage's engine is composed of several; else the stage's engine."""
    named = rows["engine"].drop_nulls().unique().sort() if "engine" in rows.columns else []
    return ", ".join(named) or (engine.name if engine else None)


def _redone(rows: pl.DataFrame) -> str | None:
    """How many rows were made again, by how, as JSON; None where none were."""
    if "redone" not in rows.columns or rows["redone"].list.len().sum() == 0:
        return None
    counted = rows["redone"].explode(empty_as_null=False).drop_nulls().value_counts().iter_rows()
    return json.dumps(dict(sorted(counted)))


def describe_engine(stage: Stage, engine: Engine | None) -> str:
    """Return the code version, engine settings, model hash and package versions as JSON."""
    made_with = {
        "stage": stage.name,
        "version": stage.version,
        **(engine.identity() | {"settings": engine.model_dump(mode="json")} if engine else {}),
        "packages": engine.versions() if engine else {},
    }
    return redact_cell(json.dumps(made_with, sort_keys=True))  # settings of engines may contain URLs
