"""Columns of the tables outside the stages: speakers, intake, rights, takedowns, discards, releases.

Times and durations are seconds, float64.
"""

import polars as pl

from podcast_assets.store.schema import Columns

RELEASED_EPISODES: Columns = {
    "episode_id": (pl.String, "stable id of the episode, free of dots and slashes"),
    "batch": (pl.String, "batch of the episode"),
    "title": (pl.String, "title of the episode"),
    "podcast": (pl.String, "name of the podcast"),
    "podcast_id": (pl.String, "guid of the podcast"),
    "source": (pl.String, "page of the episode, or where its audio came from, without secrets; null if unknown"),
    "license": (pl.String, "SPDX id, or the words of an agreement"),
    "license_url": (pl.String, "URL of the licence's text"),
    "attribution": (pl.String, "line that names the work, its author, its source and its licence"),
    "copyright": (pl.String, "the publisher's copyright line"),
    "explicit": (pl.Boolean, "whether the publisher calls it explicit; null if unknown"),
    "language": (pl.String, "ISO 639-1 code that the metadata declare"),
    "split": (pl.String, "train, validation or test"),
    "duration": (pl.Float64, "length of the whole episode, s"),
    "sha256": (pl.String, "SHA-256 of the original bytes"),
    "codec": (pl.String, "codec of the original"),
    "original_sample_rate": (pl.Int32, "sample rate of the original, Hz"),
    "channels": (pl.Int32, "channels of the original"),
    "segments": (pl.Int64, "number of released segments"),
    "hours": (pl.Float64, "length of the released segments, h"),
    "turns": (
        pl.List(pl.Struct({"start": pl.Float64, "end": pl.Float64, "speaker": pl.String})),
        "who speaks when, in seconds from the start; includes what is not released",
    ),
    "shard": (pl.String, "path of the tar with the whole episode; null if whole episodes are not released"),
    "shard_sha256": (pl.String, "SHA-256 of that tar"),
    "audio_offset": (pl.Int64, "first byte of the audio member's data in that tar"),
    "audio_size": (pl.Int64, "bytes of the audio member's data"),
    "audio_sha256": (pl.String, "SHA-256 of the audio member's data"),
}
"""One row per released episode; a table of the dataset, not of the store."""

SPEAKERS: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "speaker": (pl.String, "label, valid inside the episode"),
    "seconds": (pl.Float64, "length of the speaker's speech, s"),
    "embedding": (
        pl.List(pl.Float32),
        "embedding of the voice, comparable between rows of one engine; null if the engine has none",
    ),
    "engine": (pl.String, "diarizer"),
}
"""Stored with each episode's full diarization; not an asset of its own."""

REFERENCES: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "language": (pl.String, "ISO 639-1 code that the publisher declares"),
    "format": (pl.String, "original format: json, vtt or srt"),
    "start": (pl.Float64, "start in the episode, s"),
    "end": (pl.Float64, "end in the episode, s"),
    "speaker": (pl.String, "name that the publisher gives; null if there is none"),
    "text": (pl.String, "text of the publisher's transcript"),
}
"""Publishers' transcripts, one table per episode, stored with the original file; not an asset."""

RIGHTS: Columns = {
    "episode_id": (pl.String, "stable id of the episode, by podcast and guid"),
    "podcast_guid": (pl.String, "podcast:guid, or a guid made from the URL of the feed or channel"),
    "guid": (pl.String, "guid of the episode in its feed"),
    "podcast": (pl.String, "title of the podcast, or of the channel"),
    "title": (pl.String, "title of the episode"),
    "feed": (pl.String, "URL of the feed or of the channel, redacted"),
    "source": (pl.String, "URL of the audio or of its page, redacted"),
    "uploader": (pl.String, "who uploaded it, as its page says; null for feeds"),
    "license": (pl.String, "podcast:license"),
    "license_url": (pl.String, "URL of podcast:license, or a Creative Commons link"),
    "copyright": (pl.String, "the feed's copyright line"),
    "medium": (pl.String, "podcast:medium"),
    "locked": (pl.Boolean, "podcast:locked; null if not stated"),
    "blocked": (pl.Boolean, "itunes:block, or podcast:block for everybody"),
    "explicit": (pl.Boolean, "whether the feed calls it explicit; null if not stated"),
    "taken": (pl.Boolean, "whether it was added to a batch"),
    "reason": (pl.String, "why it was not added to a batch; null if it was"),
    "observed_at": (pl.Datetime("us", "UTC"), "when the feed was read"),
}
"""The rights ledger: one row per episode of a feed, and another whenever the feed's statements about it change."""

FEED_STATE: Columns = {
    "feed": (pl.String, "SHA-256 of the feed's URL"),
    "shown": (pl.String, "URL of the feed, redacted"),
    "title": (pl.String, "title of the podcast"),
    "moved_to": (
        pl.String,
        "URL to which the feed moved permanently, and where it is polled now, redacted; null if it did not",
    ),
    "etag": (pl.String, "ETag of the last response"),
    "last_modified": (pl.String, "Last-Modified of the last response"),
    "checked_at": (pl.Datetime("us", "UTC"), "time of the last poll"),
    "due_at": (pl.Datetime("us", "UTC"), "time of the next poll"),
    "failures": (pl.Int32, "consecutive failed polls"),
    "message": (pl.String, "error of the last poll, or what deserves a look in it; null if there is nothing"),
    "episodes": (pl.Int32, "number of episodes in the feed at its last change"),
    "address": (pl.String, "URL that is polled in place of the list's, because the feed moved; may contain secrets"),
    "pages": (pl.Int32, "number of pages that were read of the feed; null if no older ones were wanted"),
    "continue_at": (
        pl.String,
        "URL of the page with which the next poll continues; null if all were read; may contain secrets",
    ),
    "podcast_guid": (
        pl.String,
        "guid of the podcast at its first poll, which the ids of its episodes are derived from",
    ),
    "passed_over": (
        pl.List(pl.Struct({"reason": pl.String, "entries": pl.Int32})),
        "entries of the feed that became no episodes of a batch, by reason",
    ),
}
"""Polling state of all feeds, one table."""

PENDING: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "found_at": (pl.Datetime("us", "UTC"), "when it was found in its feed"),
    "batch": (pl.String, "batch that it is assigned to; null until then"),
    "seconds": (pl.Float64, "length stated by the feed, s; null if not stated"),
    "row": (pl.String, "its row in the list of URLs, JSON"),
}
"""New episodes that wait for a batch."""

FINGERPRINTS: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "working": (pl.String, "key of the working audio that was fingerprinted"),
    "anchors": (pl.List(pl.UInt32), "items of its Chromaprint fingerprint by which it is found"),
    "positions": (pl.List(pl.UInt32), "position of each anchor in the fingerprint"),
}

NEAR_DUPLICATES: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "other": (pl.String, "batch/episode_id of the episode that sounds the same"),
    "share": (pl.Float64, "share of the episode that the other has too, 0 to 1"),
    "share_of_other": (pl.Float64, "share of the other that the episode has too, 0 to 1"),
    "offset": (pl.Float64, "seconds by which the longest common stretch comes later in the other"),
    "seconds": (pl.Float64, "length of the common sound, s"),
}

STATISTICS: Columns = {
    "kind": (pl.String, "batch, episodes, work or failures: what the row counts"),
    "batch": (pl.String, "the batch"),
    "version": (pl.String, "hash of the listing of the batch's tables and discards; of rows of the kind `batch` only"),
    "hour": (pl.Datetime("us", "UTC"), "hour in which the episodes were finished or failed; null for the kind `batch`"),
    "status": (
        pl.String,
        "episodes: done, failed, skipped, discarded or pending; batch: done, failed, empty, or begun",
    ),
    "language": (pl.String, "episodes: ISO 639-1 code, identified or declared; null if unknown"),
    "podcast": (pl.String, "episodes: name of the podcast, or its guid; null if unknown"),
    "stage": (pl.String, "work, failures: the stage"),
    "engine": (pl.String, "work: the engine; null for stages without one"),
    "node": (pl.String, "work: the machine"),
    "gpu": (pl.String, "work: the GPU of that machine; null on a CPU"),
    "reason": (pl.String, "failures: class and message of the error, without names and numbers"),
    "episodes": (pl.Int64, "number of episodes"),
    "audio_seconds": (pl.Float64, "length of their audio, s"),
    "bytes": (pl.Int64, "episodes: size of the originals"),
    "seconds": (pl.Float64, "work: processing time, s"),
}
"""Counts per batch, from which statistics are computed; they can be computed again from the other tables."""

TAKEDOWNS: Columns = {
    "takedown": (pl.String, "id of the record: the same target is the same record"),
    "scope": (pl.String, "episode or podcast; `podcast` also refuses future episodes"),
    "target": (pl.String, "displayed name: batch/episode_id, or the podcast"),
    "reason": (pl.String, "reason given with the request"),
    "by": (pl.String, "who requested it; null if not stated"),
    "at": (pl.Datetime("us", "UTC"), "when it was first requested"),
    "finished_at": (
        pl.Datetime("us", "UTC"),
        "when everything was removed from the store; null until then",
    ),
    "episode_ids": (pl.List(pl.String), "ids of the episodes"),
    "podcast_ids": (pl.List(pl.String), "guids of the podcast; empty for the scope `episode`"),
    "podcast_titles": (pl.List(pl.String), "titles of a podcast without a guid"),
    "sha256": (pl.List(pl.String), "SHA-256 of the original bytes, by which copies that arrive later are refused"),
    "url_keys": (pl.List(pl.String), "SHA-256 of the URLs of the audio"),
    "episodes": (pl.List(pl.String), "batch/episode_id of all episodes taken down, including copies in other batches"),
    "remains": (pl.List(pl.String), "keys under incoming/ that still contain it, because archives are not rewritten"),
}
"""Takedown records. They never contain the content that was taken down."""

DISCARDS: Columns = {
    "batch": (pl.String, "batch of the episode"),
    "episode_id": (pl.String, "stable id of the episode"),
    "source": (pl.String, "name of the file in its batch"),
    "reason": (pl.String, "reason given by whoever discarded it"),
    "by": (pl.String, "who discarded it; null if not stated"),
    "at": (pl.Datetime("us", "UTC"), "when it was discarded"),
}
"""Discard records, one per episode that people left out. Nothing of the episode is removed."""

OVERRIDES: Columns = {
    "batch": (pl.String, "batch of the episode"),
    "episode_id": (pl.String, "stable id of the episode"),
    "source": (pl.String, "name of the file in its batch"),
    "diarizer": (pl.String, "diarizer of the episode; null for the usual one"),
    "min_speakers": (pl.Int64, "fewest speakers; null if metadata and settings decide"),
    "max_speakers": (pl.Int64, "most speakers; null if metadata and settings decide"),
    "transcriber": (
        pl.String,
        "transcriber of the episode, with those that take over after `>`; null for the usual one",
    ),
    "language": (pl.String, "language of the episode, ISO 639-1; null if metadata, settings or the engine decide"),
    "at": (pl.Datetime("us", "UTC"), "when it was chosen"),
}
"""Override records, one per episode that people want processed in another way than their metadata and the settings say."""


REVIEWED: Columns = {
    "reviewed": (pl.Boolean, "whether people decided its text or a label of it (docs/guides/review-data.md)"),
    "review_standing": (
        pl.String,
        "how sure the decisions are, the weakest of them: adjudicated, agreed (two independent reviewers), single or disputed; "
        "null if it was not reviewed",
    ),
    "text_reviewed": (pl.String, "text as reviewers left it, changed or not; null if they did not decide on it"),
    "review_labels": (
        pl.List(pl.String),
        "labels of moderation policies that reviewers found to apply, policy/label; null if none was decided",
    ),
    "speaker_reviewed": (
        pl.String,
        "speaker label that reviewers assigned, valid within the episode; null if they changed nothing",
    ),
    "speaker_name": (pl.String, "name that reviewers gave the speaker; null if they gave none"),
    "review_flags": (
        pl.List(pl.String),
        "split: reviewers heard two speakers; joined: it continues in the next segment; null if neither",
    ),
}
"""What reviewers decided of a segment. Rules of a quality policy may use these columns: they apply when the dataset is released."""

REVIEWED_SEGMENTS: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "segment_id": (pl.String, "id of the segment"),
    **REVIEWED,
    "words_reviewed": (
        pl.List(pl.Struct({"word": pl.String, "start": pl.Float64, "end": pl.Float64, "probability": pl.Float64})),
        "words of the reviewed text, with times in the episode in seconds; null for a time that is unknown",
    ),
    "split_at": (pl.Float64, "where reviewers split it, s in the episode"),
    "split_speakers": (pl.List(pl.String), "speaker labels before and after the split"),
    "reviewers": (pl.Int32, "number of people whose decisions count"),
    "decided_at": (pl.Datetime("us", "UTC"), "time of the last decision that counts"),
}
"""What holds of each segment that people decided something of, one table per batch; not an asset of the batch."""

REVIEW_DECISIONS: Columns = {
    "decision_id": (pl.String, "UUID of the decision"),
    "item_kind": (pl.String, "segment, window or failure"),
    "episode_id": (pl.String, "stable id of the episode"),
    "item_id": (pl.String, "segment_id, episode_id/policy/window, or stage/episode_id"),
    "action": (
        pl.String,
        "label, text, rename_speaker, reassign, split, join, takedown, retry, discard, skip or undo",
    ),
    "value": (pl.String, "what was decided, JSON; null where it needs no value, or the episode was taken down"),
    "previous": (pl.String, "what held before, JSON"),
    "shown": (pl.String, "what the reviewer saw, JSON"),
    "queue": (pl.String, "queue that the item came from"),
    "policy": (pl.String, "moderation policy"),
    "policy_version": (pl.String, "its version"),
    "policy_hash": (pl.String, "SHA-256 of its file"),
    "confidence": (pl.Float64, "how sure the reviewer was, 0 to 1"),
    "note": (pl.String, "the reviewer's note"),
    "seconds": (pl.Float64, "how long the reviewer looked at it, s"),
    "look": (pl.Int32, "1; 2: the second, blind reviewer; 3: the adjudicator"),
    "undoes": (pl.String, "UUID of the decision that this one undoes"),
    "decided_by": (pl.String, "name of the reviewer"),
    "role": (pl.String, "role of the reviewer at that time"),
    "session": (pl.String, "groups what was decided in one login"),
    "decided_at": (pl.Datetime("us", "UTC"), "when it was decided"),
}
"""Every decision about a batch, in order; append-only, except that a takedown empties texts. One table per batch."""
