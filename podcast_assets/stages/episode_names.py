"""Names of episodes for people: those of their files, with the track where a file holds several episodes."""

import polars as pl

from podcast_assets.common.redaction import redact_url


def name_tracks(raw_audio: pl.DataFrame) -> pl.DataFrame:
    """Add the number of the track to the names of files of which each track is an episode."""
    track = pl.col("downmix").struct.field("tracks").list.first()
    named = pl.when(pl.col("tracks") == "episodes").then(pl.format("{} (track {})", "source", track))
    return raw_audio.with_columns(source=pl.coalesce(named, "source"))


def without_source(message: str, source: str) -> str:
    """Remove the name of an episode from the beginning of a message that is shown behind that name.

    >>> without_source("https://example.org/a.mp3: no connection", "https://example.org/a.mp3#0123abcd")
    'no connection'
    """
    names = (source, redact_url(source)) if "://" in source else (source,)
    return next((message.removeprefix(f"{n}: ") for n in names if message.startswith(f"{n}: ")), message)
