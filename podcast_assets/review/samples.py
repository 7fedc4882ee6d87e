"""Samples that measure errors: drawn from the catalog, kept there, and reviewed twice by the queue `sample`."""

import datetime
from collections.abc import Collection
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Engine, func, insert, select

from podcast_assets.catalog.migrate import check_version
from podcast_assets.catalog.tables import EPISODES, SAMPLES, SCORES, SEGMENTS
from podcast_assets.common.errors import BadInput
from podcast_assets.review.queues import refresh_queues
from podcast_assets.review.sampling import draw_sample

_POPULATION = {
    **dict.fromkeys(("batch", "episode_id", "segment_id", "language", "podcast"), pl.String),
    **dict.fromkeys(("duration", "score"), pl.Float64),
}


@dataclass(frozen=True)
class DrawnSample:
    """A sample."""

    name: str
    segments: int
    seconds: float
    """Length of its audio, s."""
    strata: int
    population: int
    """Number of segments that it was drawn from."""
    population_seconds: float


def draw(
    engine: Engine,
    seconds: float,
    *,
    name: str | None = None,
    batches: Collection[str] = (),
    languages: Collection[str] = (),
    kept_only: bool = False,
) -> DrawnSample:
    """Draw a stratified sample of transcribed segments, and put it into the queue `sample`.

    Copies of an episode in other batches are left out. The score of the strata is `dnsmos_ovrl`.

    Args:
        engine: engine of the catalog.
        seconds: length of audio to draw.
        name: name of the sample; the date if it is None.
        batches: only of these batches; of all if it is empty.
        languages: only of these languages; of all if it is empty.
        kept_only: only what the quality policy keeps.

    Raises:
        BadInput: there is a sample of that name, or nothing to draw from.
        Misconfigured: the catalog's tables are of another version, or do not exist.
    """
    name = name or f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    with engine.begin() as connection:
        check_version(connection)
        if connection.scalar(select(func.count()).where(SAMPLES.c.sample == name)):
            raise BadInput(f"there is a sample {name} already: choose another name with --name")
        s, e, c = SEGMENTS.c, EPISODES.c, SCORES.c
        query = (
            select(
                s.batch,
                s.episode_id,
                s.segment_id,
                func.coalesce(s.text_language, s.language, e.language).label("language"),
                e.podcast,
                s.duration,
                c.dnsmos_ovrl.label("score"),
            )
            .join_from(SEGMENTS, EPISODES, (s.batch == e.batch) & (s.episode_id == e.episode_id))
            .outerjoin(SCORES, (s.batch == c.batch) & (s.segment_id == c.segment_id))
            .where(s.text.is_not(None), e.duplicate_of.is_(None))
        )
        if batches:
            query = query.where(s.batch.in_(list(batches)))
        if kept_only:
            query = query.where(c.keep)
        rows = [tuple(row) for row in connection.execute(query)]
        names = ("batch", "episode_id", "segment_id", "language", "podcast", "duration", "score")
        whole = pl.DataFrame(rows, schema={n: _POPULATION[n] for n in names}, orient="row")
        if languages:
            whole = whole.filter(pl.col("language").is_in(list(languages)))
        sample = draw_sample(whole, seconds, name)
        if sample.is_empty():
            raise BadInput("nothing in the catalog matches: `podcast-assets catalog status` shows what is loaded")
        connection.execute(
            insert(SAMPLES),
            [{**row, "sample": name} for row in sample.drop("seconds").iter_rows(named=True)],
        )
    refresh_queues(engine, batches=sample["batch"].unique().to_list())
    return DrawnSample(
        name,
        sample.height,
        float(sample["seconds"].sum()),
        sample["stratum"].n_unique(),
        whole.height,
        float(whole["duration"].sum()),
    )


def newest_sample(engine: Engine) -> str | None:
    """Return the name of the sample that was drawn last; None if there is none."""
    with engine.connect() as connection:
        check_version(connection)
        return connection.scalar(select(SAMPLES.c.sample).order_by(SAMPLES.c.drawn_at.desc()).limit(1))
