"""Columns of the tables outside the stages: speakers, intake, rights, takedowns, releases.

Times and durations are seconds, float64.
"""

import polars as pl

from podcast_assets.store.schema import Columns

RELEASED_EPISODES: Columns = {
    "episode_id": (pl.String, "stable id of the episode, free of dots and slashes"),
    "batch": (pl.String, "the batch that it came in"),
    "title": (pl.String, "of the episode"),
    "podcast": (pl.String, "its name"),
    "podcast_id": (pl.String, "guid of the podcast"),
    "source": (pl.String, "page of the episode, or where its audio came from, without secrets; null where nobody says"),
    "license": (pl.String, "SPDX id, or the words of an agreement"),
    "license_url": (pl.String, "of the licence's text"),
    "attribution": (pl.String, "line that names the work, its author, its source and its licence"),
    "copyright": (pl.String, "the publisher's copyright line"),
    "explicit": (pl.Boolean, "whether the publisher calls it explicit; null where nobody says"),
    "language": (pl.String, "ISO 639-1 code that the metadata declare"),
    "split": (pl.String, "train, validation or test"),
    "duration": (pl.Float64, "of the whole episode, s"),
    "sha256": (pl.String, "of the original bytes"),
    "codec": (pl.String, "of the original"),
    "original_sample_rate": (pl.Int32, "of the original, Hz"),
    "channels": (pl.Int32, "of the original"),
    "segments": (pl.Int64, "of it that are released"),
    "hours": (pl.Float64, "of its segments that are released, h"),
    "turns": (
        pl.List(pl.Struct({"start": pl.Float64, "end": pl.Float64, "speaker": pl.String})),
        "who speaks when, s from its start, released or not",
    ),
    "shard": (pl.String, "path of the tar with the whole episode; null where whole episodes are not released"),
    "shard_sha256": (pl.String, "of that tar"),
    "audio_offset": (pl.Int64, "first byte of the audio member's data in that tar"),
    "audio_size": (pl.Int64, "bytes of the audio member's data"),
    "audio_sha256": (pl.String, "of the audio member's data"),
}
"""One row per released episode; a table of the dataset, not of the store."""

SPEAKERS: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "speaker": (pl.String, "label, valid inside the episode"),
    "seconds": (pl.Float64, "how long the speaker speaks, s"),
    "embedding": (
        pl.List(pl.Float32),
        "of the voice; comparable between rows of one engine; null where the engine has none",
    ),
    "engine": (pl.String, "diarizer"),
}
"""Stored with each episode's full diarization; not an asset of its own."""

REFERENCES: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "language": (pl.String, "ISO 639-1 code that the publisher declares"),
    "format": (pl.String, "json, vtt or srt: what it came as"),
    "start": (pl.Float64, "start in the episode, s"),
    "end": (pl.Float64, "end in the episode, s"),
    "speaker": (pl.String, "name, as the publisher gives it; null where it gives none"),
    "text": (pl.String, "what the publisher says was said"),
}
"""Publishers' transcripts, one table per episode, stored with the original file; not an asset."""

RIGHTS: Columns = {
    "episode_id": (pl.String, "stable id of the episode, by podcast and guid"),
    "podcast_guid": (pl.String, "podcast:guid, or the one that the feed's URL gives"),
    "guid": (pl.String, "of the episode in its feed"),
    "podcast": (pl.String, "its title"),
    "title": (pl.String, "of the episode"),
    "feed": (pl.String, "URL of the feed, without its secrets"),
    "source": (pl.String, "URL of the audio, without its secrets"),
    "license": (pl.String, "podcast:license"),
    "license_url": (pl.String, "of podcast:license, or a Creative Commons link"),
    "copyright": (pl.String, "the feed's copyright line"),
    "medium": (pl.String, "podcast:medium"),
    "locked": (pl.Boolean, "podcast:locked; null where it says nothing"),
    "blocked": (pl.Boolean, "itunes:block, or podcast:block for everybody"),
    "explicit": (pl.Boolean, "null where the feed says nothing"),
    "taken": (pl.Boolean, "whether it was put into a batch"),
    "reason": (pl.String, "why not; null where it was"),
    "observed_at": (pl.Datetime("us", "UTC"), "when the feed said so"),
}
"""The rights ledger: one row per episode of a feed, and another whenever the feed's statements about it change."""

FEED_STATE: Columns = {
    "feed": (pl.String, "SHA-256 of the feed's URL"),
    "shown": (pl.String, "the URL without its secrets"),
    "title": (pl.String, "of the podcast"),
    "moved_to": (
        pl.String,
        "where it says that it has moved for good, without the secrets of that URL: its list wants mending",
    ),
    "etag": (pl.String, "of the last answer"),
    "last_modified": (pl.String, "of the last answer"),
    "checked_at": (pl.Datetime("us", "UTC"), "when it was asked for last"),
    "due_at": (pl.Datetime("us", "UTC"), "when it is asked for next"),
    "failures": (pl.Int32, "in a row"),
    "message": (pl.String, "what was wrong last; null where nothing was"),
    "episodes": (pl.Int32, "in the feed, at the last change"),
}
"""Polling state of all feeds, one table."""

PENDING: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "found_at": (pl.Datetime("us", "UTC"), "when it was found in its feed"),
    "batch": (pl.String, "the batch that it goes into; null as long as that is open"),
    "seconds": (pl.Float64, "length as the feed says, s; null where it says nothing"),
    "row": (pl.String, "its row in the list of URLs, JSON"),
}
"""New episodes that wait for a batch."""

FINGERPRINTS: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "working": (pl.String, "key of the working audio that was fingerprinted"),
    "anchors": (pl.List(pl.UInt32), "items of its Chromaprint fingerprint by which it is found"),
    "positions": (pl.List(pl.UInt32), "where in the fingerprint each of them is"),
}

NEAR_DUPLICATES: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "other": (pl.String, "batch/episode_id that sounds the same"),
    "share": (pl.Float64, "of the episode that the other has too, 0 to 1"),
    "share_of_other": (pl.Float64, "of the other that the episode has too, 0 to 1"),
    "offset": (pl.Float64, "seconds by which the longest common stretch comes later in the other"),
    "seconds": (pl.Float64, "that both have"),
}

TAKEDOWNS: Columns = {
    "takedown": (pl.String, "id of the record: the same target is the same record"),
    "scope": (pl.String, "episode, or podcast: then what comes of it later is refused too"),
    "target": (pl.String, "batch/episode_id, or the podcast, as people are shown it"),
    "reason": (pl.String, "as it was given"),
    "by": (pl.String, "who asked for it or did it; null where nobody said"),
    "at": (pl.Datetime("us", "UTC"), "when it was ordered first"),
    "finished_at": (pl.Datetime("us", "UTC"), "when everything was gone from the store; null as long as it is not"),
    "episode_ids": (pl.List(pl.String), "of the episodes"),
    "podcast_ids": (pl.List(pl.String), "guids of the podcast; of scope podcast only"),
    "podcast_titles": (pl.List(pl.String), "of a podcast without a guid"),
    "sha256": (pl.List(pl.String), "of the original bytes, by which they are known when they come again"),
    "url_keys": (pl.List(pl.String), "SHA-256 of the URLs that they came from"),
    "episodes": (pl.List(pl.String), "batch/episode_id of all that it took, copies in other batches among them"),
    "remains": (pl.List(pl.String), "keys under incoming/ that hold it still, as an archive cannot be rewritten"),
}
"""Takedown records. They never contain the content that was taken down."""
