"""Names of episodes for people: those of their files, with the track where a file holds several episodes."""

import polars as pl


def name_tracks(raw_audio: pl.DataFrame) -> pl.DataFrame:
    """Add the number of the track to the names of files of which each track is an episode."""
    track = pl.col("downmix").struct.field("tracks").list.first()
    named = pl.when(pl.col("tracks") == "episodes").then(pl.format("{} (track {})", "source", track))
    return raw_audio.with_columns(source=pl.coalesce(named, "source"))
