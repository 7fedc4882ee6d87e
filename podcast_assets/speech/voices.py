"""Reading speakers from the store for speaker linking, and writing the links."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.speech.linking import LINKED
from podcast_assets.store.schema import RAW_AUDIO, schema
from podcast_assets.store.schema_beside import SPEAKERS
from podcast_assets.store.store import STORE_READERS, Store, diarization_key, table_key

ALL = "all podcasts"
KEY = "voices/voices.parquet"
"""Key of the table of links, with the columns of `podcast_assets.speech.linking.LINKED`."""


def read_speakers(
    store: Store, batches: Iterable[str], podcasts: Iterable[str] = (), *, across: bool = False
) -> pl.DataFrame:
    """Read the speakers of all diarized episodes whose podcast is known: columns of `SPEAKERS`, `podcast` and `batch`.

    An episode that arrived twice is read once.

    Args:
        store: the store with the batches.
        batches: the batches to read.
        podcasts: ids of the podcasts to read; all if empty.
        across: treat all podcasts as one.

    Raises:
        BadInput: a table of `raw_audio` cannot be read.
    """
    chosen = set(podcasts)
    episodes: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    for batch in batches:
        key = table_key("raw_audio", batch)
        table = store.read_table(key, RAW_AUDIO)
        if table is None:
            if store.exists(key):
                raise BadInput(f"batch {batch}: raw_audio was written by another version: materialize it again first")
            continue
        done = table.filter(pl.col("status") == "done", pl.col("podcast_id").is_not_null())
        for episode, podcast, content in done.select("episode_id", "podcast_id", "sha256").iter_rows():
            if content not in seen and (not chosen or podcast in chosen):
                seen.add(content)
                episodes.append((batch, episode, ALL if across else podcast))

    def read(place: tuple[str, str, str]) -> pl.DataFrame | None:
        batch, episode, podcast = place
        rows = store.read_table(diarization_key(batch, episode, "parquet"), SPEAKERS)
        return None if rows is None else rows.with_columns(podcast=pl.lit(podcast), batch=pl.lit(batch))

    none = pl.DataFrame(schema=schema(SPEAKERS) | {"podcast": pl.String, "batch": pl.String})
    with ThreadPoolExecutor(STORE_READERS) as readers:
        return pl.concat([none, *(rows for rows in readers.map(read, episodes) if rows is not None)])


def count_without_podcast(store: Store, batches: Iterable[str]) -> int:
    """Count the episodes that `read_speakers` leaves out because their podcast is unknown."""
    done = pl.col("status") == "done"
    tables = (store.read_table(table_key("raw_audio", batch), RAW_AUDIO) for batch in batches)
    contents = [t.filter(done, pl.col("podcast_id").is_null())["sha256"] for t in tables if t is not None]
    return len({content for column in contents for content in column})


def write_links(store: Store, linked: pl.DataFrame) -> None:
    """Write links to the store, replacing earlier ones of the same podcasts."""
    before = store.read_table(KEY, LINKED)
    if before is not None:
        before = before.filter(~pl.col("podcast").is_in(linked["podcast"].unique().to_list()))
    rows = linked if before is None else pl.concat([before, linked])
    store.write_table(KEY, rows.sort("podcast", "batch", "episode_id", "speaker"))
