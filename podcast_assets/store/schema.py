"""Columns of the stages' tables, with their units; the other tables are in `schema_beside`.

Every table has one parquet file per batch. Times and durations are seconds from the start of the episode, float64.
"""

from typing import Any

import polars as pl

WORDS = pl.List(pl.Struct({"word": pl.String, "start": pl.Float64, "end": pl.Float64, "probability": pl.Float64}))
"""Words of a segment: text, start and end in seconds (null where a word could not be placed), probability 0 to 1 or null."""

MORE_SCORES = pl.List(pl.Struct({"name": pl.String, "value": pl.Float64}))
"""Scores that have no column of their own."""

WARNINGS = pl.List(pl.Struct({"kind": pl.String, "message": pl.String}))
"""Warnings about a file: kind (`common.warned.KINDS`) and one line for people."""

DOWNMIX = pl.Struct({"tracks": pl.List(pl.Int32), "channels": pl.List(pl.Int32), "gain": pl.Float64})
"""How one channel is made of a file: see `podcast_assets.audio.downmix.Downmix`."""

Columns = dict[str, tuple[Any, str]]

FLAGS = {
    "no_speakers": "the diarizer failed or is `none`: speech was found, but not who speaks",
    "untranscribed": "no engine could transcribe it, or not all of it",
    "fallback": "the first engine failed, and another took over",
    "language_differs": "the detected language differs from the declared one",
    "unaligned": "the words have no times, because the aligner could not place them",
    "words_outside": "the recognizer placed a fifth of the words, or more, outside of it; they were moved to its ends",
    "uncovered_speech": "there is speech in it without words, also after it was transcribed again",
}
"""Flags of a segment for readers of the dataset; provenance has the details."""
_FLAGS: Columns = {
    "flags": (pl.List(pl.String), f"problems of the segment: {', '.join(FLAGS)}; empty if there are none")
}

_SEGMENT_KEY: Columns = {
    "segment_id": (pl.String, "sample key: {episode_id}-{start ms, 9 digits}-{end ms, 9 digits}"),
    "episode_id": (pl.String, "stable id of the episode, free of dots and slashes"),
    "segment_index": (pl.Int32, "position in the episode, from 0"),
}
_MADE_BY: Columns = {
    "engine": (pl.String, "engine that made the row"),
    "degraded": (pl.Boolean, "made by an embedded engine or a fallback"),
    "fingerprint": (pl.String, "hash of all that determines the row: code version, engine, model, input"),
}

RAW_AUDIO: Columns = {
    "episode_id": (pl.String, "stable id of the episode, free of dots and slashes"),
    "source": (pl.String, "name of the file in its batch"),
    "status": (pl.String, "done, failed or skipped"),
    "error": (pl.String, "why it failed or was skipped; null when done"),
    "duplicate_of": (pl.String, "episode of this batch with the same bytes, which is kept"),
    "also_in": (
        pl.String,
        "batch/episode_id of the first episode (by name) of another batch with the same bytes; null if there is none",
    ),
    "title": (pl.String, "title of the episode, from the metadata"),
    "podcast": (pl.String, "name of the podcast, from the metadata"),
    "podcast_id": (pl.String, "guid of the podcast, from the metadata"),
    "language": (pl.String, "ISO 639-1 code that the metadata declare"),
    "license": (pl.String, "licence that the metadata declare"),
    "sha256": (pl.String, "SHA-256 of the original file"),
    "md5": (pl.String, "MD5 of the original file"),
    "earlier_sha256": (
        pl.List(pl.String),
        "SHA-256 of earlier files from the same URL, which differ for example in inserted advertisements; null if there are none",
    ),
    "bytes": (pl.Int64, "size of the original"),
    "container": (pl.String, "container format"),
    "codec": (pl.String, "audio codec"),
    "sample_rate": (pl.Int32, "sample rate of the original, Hz"),
    "channels": (pl.Int32, "number of channels of the original"),
    "audio_streams": (pl.Int32, "number of audio tracks of the original"),
    "tracks": (
        pl.String,
        "how the tracks of a file with several were taken: mix, episodes (one for each) or speakers; null for the best one alone",
    ),
    "downmix": (
        DOWNMIX,
        "how one channel was made: the tracks that were added up, counted from 1 (empty: the best one), the channel taken of each "
        "(0 or empty: all), and the gain against clipping; null where it is the mean of the one or two channels of the best track",
    ),
    "bit_rate": (pl.Int64, "bit rate of the original, bit/s"),
    "has_video": (pl.Boolean, "whether the original has a video track"),
    "declared_duration": (pl.Float64, "duration that the header declares, s"),
    "duration": (pl.Float64, "duration of the decoded audio, silence in gaps included, s"),
    "gap_seconds": (
        pl.Float64,
        "silence that fills gaps, where the container leaves out audio, s; null if that was not measured",
    ),
    "retimed": (
        pl.Boolean,
        "whether silence was filled in, or encoder delay, repetitions or tags were left out, so that times are those of the file; "
        "null if samples were only counted",
    ),
    "original": (pl.String, "object key of the original"),
    "working": (
        pl.String,
        "object key of the working audio: mono 16 kHz FLAC, of the voice alone if a separator is set",
    ),
    "opus": (pl.String, "object key of the copy of the working audio in Opus; null if it is not enabled"),
    "metadata": (pl.String, "the whole metadata row, JSON"),
    "warnings": (WARNINGS, "what worked, but deserves a look; empty if there is nothing, null if that was not checked"),
    "fingerprint": (pl.String, "hash of all that determines the row"),
}
SEGMENTS: Columns = {
    **_SEGMENT_KEY,
    "start": (pl.Float64, "start in the episode, s"),
    "end": (pl.Float64, "end in the episode, s"),
    "duration": (pl.Float64, "length, s"),
    "speaker": (pl.String, "speaker label, valid within the episode; null if unknown"),
    "overlap": (pl.Float64, "share of the segment in which another speaker speaks too, 0 to 1"),
    **_FLAGS,
    **_MADE_BY,
}
TRANSCRIPTS: Columns = {
    **_SEGMENT_KEY,
    "text": (pl.String, "what was said; empty where nothing was recognized"),
    "language": (pl.String, "ISO 639-1 code"),
    "language_probability": (
        pl.Float64,
        "probability of the language, from the audio, 0 to 1, whether it was declared or detected; null if the engine gives none",
    ),
    "text_language": (
        pl.String,
        "language identified from the text alone, as an ISO 639-1 code (639-3 if it has none); null if the text is too short",
    ),
    "words": (WORDS, "words with times in seconds"),
    "avg_logprob": (pl.Float64, "mean log probability of the tokens or words"),
    "no_speech_prob": (pl.Float64, "probability that there is no speech, 0 to 1"),
    "compression_ratio": (pl.Float64, "size of the text divided by its size after zlib compression"),
    "temperature": (
        pl.Float64,
        "temperature of the decoding; above 0 if lower temperatures gave repetitions or low confidence",
    ),
    "uncovered_speech": (pl.Float64, "speech in which no word was recognized, s; null if that was not checked"),
    "redone": (
        pl.List(pl.String),
        "how it was transcribed again because the text fell short: alone, with timestamps, cut at pauses, or by another engine",
    ),
    **_FLAGS,
    **_MADE_BY,
}
QUALITY_SCORES: Columns = {
    **_SEGMENT_KEY,
    "dnsmos_sig": (pl.Float64, "DNSMOS P.835 speech quality, 1 to 5"),
    "dnsmos_bak": (pl.Float64, "DNSMOS P.835 background quality, 1 to 5"),
    "dnsmos_ovrl": (pl.Float64, "DNSMOS P.835 overall quality, 1 to 5"),
    "dnsmos_p808": (pl.Float64, "DNSMOS P.808 overall quality, 1 to 5"),
    "snr_db": (pl.Float64, "estimated signal-to-noise ratio, dB"),
    "clipping_share": (pl.Float64, "share of samples at full scale, 0 to 1"),
    "peak_db": (pl.Float64, "peak level, dBFS"),
    "rms_db": (pl.Float64, "root mean square level, dBFS"),
    "loudness_lufs": (pl.Float64, "integrated loudness, LUFS (ITU-R BS.1770)"),
    "bandwidth_hz": (pl.Float64, "effective bandwidth of the working audio, Hz; at most 8,000"),
    "source_bandwidth_hz": (pl.Float64, "effective bandwidth of the original, Hz; at most half its rate"),
    "speech_share": (pl.Float64, "share of the segment in which speech is detected, 0 to 1"),
    "music_share": (pl.Float64, "share of the segment with music, 0 to 1; null if no engine detects it"),
    "noise_share": (pl.Float64, "share of the segment with noise, 0 to 1; null if no engine detects it"),
    "more_scores": (MORE_SCORES, "scores of further scorers, by name; empty if there are none"),
    "chars_per_second": (pl.Float64, "characters of the text per second"),
    "words_per_second": (
        pl.Float64,
        "words of the text per second; characters in scripts without spaces (Han, kana, Thai, Lao, Khmer, Burmese), here and below",
    ),
    "unique_word_share": (pl.Float64, "number of distinct words divided by the number of words, 0 to 1"),
    "ngram_repetition": (pl.Float64, "share of repeated word 3-grams, 0 to 1"),
    "script": (pl.String, "script of most letters: latin, cyrillic, han, …; Japanese is kana; null without letters"),
    "rate_ratio": (pl.Float64, "chars_per_second divided by the usual rate of the script; about 1 for speech"),
    "loop_words": (
        pl.Int32,
        "number of repeated words in the longest stretch where a phrase occurs three or more times in a row",
    ),
    "same_text_segments": (
        pl.Int32,
        "number of consecutive segments with this text, including this one; 0 without text",
    ),
    "known_phrase": (
        pl.String,
        "known phrase that recognizers write where nobody speaks, normalized; null if there is none",
    ),
    "digit_share": (pl.Float64, "share of digits among letters and digits, 0 to 1"),
    "uppercase_share": (pl.Float64, "share of capitals among letters with case, 0 to 1; null if there are none"),
    "punctuation_share": (pl.Float64, "share of punctuation and symbols among characters, 0 to 1"),
    "text_flags": (pl.List(pl.String), "problems of the text (quality/text/rules.py); empty if there are none"),
    "hallucinated": (pl.Boolean, "whether a text flag indicates that the text was not spoken"),
    "reference_words": (
        pl.Int32,
        "number of words of the publisher's transcript in the segment; null if there is none for this recording and language",
    ),
    "reference_wer": (
        pl.Float64,
        "word error rate against the publisher's transcript (characters in scripts without spaces), 0 or more; null without words",
    ),
    "reference_cer": (pl.Float64, "character error rate against the publisher's transcript; null without words"),
    "second_wer": (
        pl.Float64,
        "word error rate against a second recognizer's text, 0 or more; null if there is none, or it is empty",
    ),
    "second_cer": (pl.Float64, "character error rate against a second recognizer's text; null if second_wer is null"),
    "compared": (
        pl.String,
        "hash of the compared texts of the episode, so that the next run detects changes; null if nothing was compared",
    ),
    "text_digits": (
        pl.String,
        "the text with numbers in digits; null if not enabled or not supported for the language",
    ),
    "text_punctuated": (
        pl.String,
        "the text with punctuation and capitals, otherwise unchanged; null if not enabled or not supported for the language",
    ),
    "pii": (
        pl.List(pl.String),
        "personal data that the text seems to contain: email, phone, card; empty if none, null if not enabled",
    ),
    "keep": (pl.Boolean, "whether the policy keeps the segment"),
    "reject_reasons": (pl.List(pl.String), "reasons why the policy rejects the segment; empty if it is kept"),
    "policy": (pl.String, "name and version of the policy"),
    **_MADE_BY,
}
_PLACE: Columns = {
    "shard": (pl.String, "path of the tar under sealed/{batch}/"),
    "shard_sha256": (pl.String, "SHA-256 of the whole tar"),
    "json_offset": (pl.Int64, "first byte of the JSON member's data in the tar"),
    "json_size": (pl.Int64, "bytes of the JSON member's data"),
    "json_sha256": (pl.String, "SHA-256 of the JSON member's data"),
    "audio_offset": (pl.Int64, "first byte of the audio member's data in the tar"),
    "audio_size": (pl.Int64, "bytes of the audio member's data"),
    "audio_sha256": (pl.String, "SHA-256 of the audio member's data"),
    "sample_rate": (pl.Int32, "sample rate of the audio member, Hz"),
    "channels": (pl.Int32, "number of channels of the audio member"),
}
"""Position of a sample, in both grains."""
HF_SHARDS: Columns = {
    **_SEGMENT_KEY,
    "podcast_id": (pl.String, "guid of the podcast"),
    "split": (pl.String, "train, validation or test; the same for all of a podcast"),
    **_PLACE,
    "start": (pl.Float64, "start in the episode, s"),
    "end": (pl.Float64, "end in the episode, s"),
    "duration": (pl.Float64, "length, s"),
    "speaker": (pl.String, "speaker label, valid within the episode"),
    "overlap": (pl.Float64, "share of the segment in which another speaker speaks too, 0 to 1"),
    "text": (pl.String, "what was said"),
    "language": (pl.String, "ISO 639-1 code; und if unknown"),
    "license": (pl.String, "licence that the metadata declare"),
    **{k: v for k, v in QUALITY_SCORES.items() if k not in (*_SEGMENT_KEY, *_MADE_BY, "compared")},
    "degraded": (pl.Boolean, "segmented or transcribed by an embedded engine or a fallback"),
    "fingerprint": (pl.String, "hash of all that determines the row"),
}
EPISODE_SHARDS: Columns = {
    "episode_id": (pl.String, "stable id of the episode; the sample's key"),
    "podcast_id": (pl.String, "guid of the podcast"),
    "split": (pl.String, "train, validation or test; the same for all of a podcast"),
    **_PLACE,
    "duration": (pl.Float64, "length, s"),
    "language": (pl.String, "ISO 639-1 code of the most spoken language; und if unknown"),
    "license": (pl.String, "licence that the metadata declare"),
    "speakers": (pl.Int32, "number of distinguished speakers"),
    "segments": (pl.Int32, "number of segments with text in its JSON"),
    "degraded": (pl.Boolean, "whether any of it was segmented or transcribed by an embedded engine or a fallback"),
    "fingerprint": (pl.String, "hash of all that determines the row"),
}
"""Second grain, one sample per episode, if PODCAST_GRAINS enables it."""

SECOND_OPINIONS: Columns = {
    **_SEGMENT_KEY,
    "text": (pl.String, "text by a second recognizer; empty if it recognized nothing"),
    "language": (pl.String, "ISO 639-1 code"),
    **_MADE_BY,
}
"""Second transcripts, if a second transcriber is set."""

PUNCTUATED_TEXTS: Columns = {
    **_SEGMENT_KEY,
    "text_punctuated": QUALITY_SCORES["text_punctuated"],
    **_MADE_BY,
}
"""Punctuated transcripts, if PODCAST_TEXT_CARE enables punctuation."""

CONTENT_FLAGS: Columns = {
    "episode_id": (pl.String, "stable id of the episode, free of dots and slashes"),
    "policy": (pl.String, "name of the moderation policy"),
    "policy_version": (pl.String, "version of the moderation policy"),
    "policy_hash": (pl.String, "SHA-256 of the moderation policy's file"),
    "window": (pl.Int32, "number of the judged window in the episode under this policy, from 0"),
    "start": (pl.Float64, "start of the window's first segment in the episode, s"),
    "end": (pl.Float64, "end of the window's last segment, s"),
    "segment_ids": (pl.List(pl.String), "segments in the window; consecutive windows share some as context"),
    "text_hashes": (
        pl.List(pl.String),
        "first 16 hex digits of the SHA-256 of each of these segments' text as it was judged: tells flags of older texts",
    ),
    "label": (pl.String, "label of the policy, as rules name it"),
    "label_name": (pl.String, "label of the policy, for people"),
    "probability": (pl.Float64, "probability that the label applies, 0 to 1; null where there is none"),
    "threshold": (pl.Float64, "probability from which the verdict is flagged"),
    "verdict": (
        pl.String,
        "flagged, clean, needs_review (the classifier gave no readable answer) or not_judged (another language than the policy's)",
    ),
    "reason": (pl.String, "why there is no probability; null where there is one"),
    "model": (pl.String, "model that answered; empty where none was asked"),
    "tokens_in": (pl.Int64, "tokens of the questions about the window; on the row of its first label, elsewhere null"),
    "tokens_out": (pl.Int64, "tokens of the answers; as tokens_in"),
    "price": (pl.Float64, "price of the answers, USD; as tokens_in, and null where no price is set"),
    **_MADE_BY,
}
"""Judgments by moderation policies, one row per window and label, if PODCAST_MODERATION names policies."""

ASSETS: dict[str, Columns] = {
    "raw_audio": RAW_AUDIO,
    "diarized_segments": SEGMENTS,
    "transcripts": TRANSCRIPTS,
    "quality_scores": QUALITY_SCORES,
    "hf_shards": HF_SHARDS,
}

TEXT_COLUMNS = frozenset({"text", "text_punctuated", "text_reviewed", "title"})
"""Columns that hold what people said, or a title, and are shown nowhere but in tables, transcripts and shards."""

TABLES = ASSETS | {
    "second_opinions": SECOND_OPINIONS,
    "punctuated_texts": PUNCTUATED_TEXTS,
    "content_flags": CONTENT_FLAGS,
    "episode_shards": EPISODE_SHARDS,
}
"""All tables of batches: the required ones (`ASSETS`) and those of the optional assets."""

PROVENANCE: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "source": (pl.String, "name of the file in its batch"),
    "fingerprint": (pl.String, "hash of all that determines the rows"),
    "rows": (pl.Int64, "rows that the stage made for the episode; 0 is a result too"),
    "engine": (pl.String, "engine; null for stages without one"),
    "fallback": (pl.String, "what went wrong with the engine, and which took over; null where nothing did"),
    "redone": (pl.String, "rows that were made again because they fell short, by how, JSON; null where none were"),
    "made_with": (pl.String, "code version, engine settings, model hash, package versions, JSON"),
    "node": (pl.String, "machine that did it"),
    "address": (pl.String, "its address in its network; null where it has none, and in tables of earlier versions"),
    "gpu": (pl.String, "GPU of that machine, as its driver numbers it; null on a CPU"),
    "worker": (pl.String, "machine:process that did it"),
    "audio_seconds": (pl.Float64, "length of the episode, s"),
    "seconds": (pl.Float64, "processing time, s"),
    "finished_at": (pl.Datetime("us", "UTC"), "when it was done"),
}
FAILURES: Columns = {
    "episode_id": (pl.String, "stable id of the episode"),
    "source": (pl.String, "name of the file in its batch"),
    "stage": (pl.String, "stage that could not do it"),
    "error_type": (pl.String, "class of the exception"),
    "message": (pl.String, "one line for people"),
    "traceback": (pl.String, "for developers"),
    "permanent": (pl.Boolean, "the data are at fault: not tried again until they change"),
    "attempts": (pl.Int32, "runs that tried it"),
    "fingerprint": (pl.String, "hash of all that determined the attempt"),
    "failed_at": (pl.Datetime("us", "UTC"), "when it failed last"),
}

ADDED = frozenset(
    "uncovered_speech redone warnings gap_seconds retimed downmix tracks "
    "address pages continue_at podcast_guid passed_over uploader".split()
)
"""Columns that older tables lack, where they count as null."""


def schema(columns: Columns) -> pl.Schema:
    """The polars schema of a table."""
    return pl.Schema({name: dtype for name, (dtype, _) in columns.items()})


def add_missing_columns(table: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """Add the columns of `ADDED` that a table lacks, as nulls, so that tables of earlier versions can be read."""
    missing = {n: t for n, t in schema(columns).items() if n in ADDED and n not in table.columns}
    if not missing:
        return table
    filled = table.with_columns(pl.lit(None, dtype=t).alias(n) for n, t in missing.items())
    return filled.select(n for n in columns) if set(columns) <= set(filled.columns) else filled


def empty_table(columns: Columns) -> pl.DataFrame:
    """Make an empty table with these columns."""
    return pl.DataFrame(schema=schema(columns))


def make_table(rows: list[dict[str, Any]], columns: Columns) -> pl.DataFrame:
    """Make a table from rows, whose columns may be in any order.

    Raises:
        ValueError: a row has missing or additional columns.
    """
    for row in rows:
        if row.keys() != columns.keys():
            different = sorted(row.keys() ^ columns.keys())
            raise ValueError(f"the row does not match the columns of its table: {', '.join(different)}")
    return pl.DataFrame(rows, schema=schema(columns), orient="row")
