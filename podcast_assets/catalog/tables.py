"""Tables of the catalog, schema `podcast_catalog`. The migrations create them, and a test holds both to each other.

All but those marked `KEPT` are filled from the store alone and may be emptied at any time. Names are those of the store's tables.
Times and durations are seconds from the start of the episode; moments are with time zone.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

SCHEMA = "podcast_catalog"
KEPT = {"kept": True}
"""Marks tables with what people decided, which is nowhere else: a rebuild keeps them, and `catalog backup` saves them."""

PRIVATE = {"private": True}
"""Marks tables about accounts, which only the review page reads."""

METADATA = MetaData(schema=SCHEMA)

_MOMENT = DateTime(timezone=True)
_TEXTS = ARRAY(Text)


def _text(name: str, **given: Any) -> Column[Any]:
    return Column(name, Text, **given)


def _numbers(names: str) -> list[Column[Any]]:
    return [Column(name, Double) for name in names.split()]


def _integers(names: str) -> list[Column[Any]]:
    return [Column(name, Integer) for name in names.split()]


def _texts(names: str) -> list[Column[Any]]:
    return [Column(name, Text) for name in names.split()]


def _of_batch(*columns: str, table: str = "batches") -> ForeignKeyConstraint:
    """Rows go with what they belong to. Checked at commit, because a batch is merged table by table."""
    columns = columns or ("batch",)
    return ForeignKeyConstraint(
        columns,
        [f"{SCHEMA}.{table}.{column}" for column in columns],
        ondelete="CASCADE",
        deferrable=True,
        initially="DEFERRED",
    )


def _now(name: str) -> Column[Any]:
    return Column(name, _MOMENT, nullable=False, server_default=text("now()"))


def _of_user() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["user_id"], [f"{SCHEMA}.users.user_id"], ondelete="CASCADE")


BATCHES = Table(
    "batches",
    METADATA,
    _text("batch", primary_key=True),
    # hash of the listing of what was loaded: while it stays the same, there is nothing to load
    _text("version", nullable=False),
    Column("words", Boolean, nullable=False),
    Column("loaded_at", _MOMENT, nullable=False),
)

PODCASTS = Table(
    "podcasts",
    METADATA,
    # the guid, or the title of a podcast without one
    _text("podcast", primary_key=True),
    _text("podcast_id"),
    _text("title"),
)

EPISODES = Table(
    "episodes",
    METADATA,
    _text("batch", nullable=False),
    _text("episode_id", nullable=False),
    _text("podcast"),
    _text("source", nullable=False),
    _text("status", nullable=False),
    *_texts("error duplicate_of also_in title podcast_title podcast_id language license url"),
    Column("published_at", _MOMENT),
    *_texts("sha256 md5"),
    Column("bytes", BigInteger),
    *_texts("container codec"),
    *_integers("sample_rate channels audio_streams"),
    Column("bit_rate", BigInteger),
    Column("has_video", Boolean),
    *_numbers("duration declared_duration gap_seconds"),
    *_texts("tracks original working opus"),
    Column("metadata", JSONB(none_as_null=True)),
    Column("warnings", JSONB(none_as_null=True)),
    _text("fingerprint"),
    PrimaryKeyConstraint("batch", "episode_id"),
    _of_batch(),
    ForeignKeyConstraint(
        ["podcast"], [f"{SCHEMA}.podcasts.podcast"], deferrable=True, initially="DEFERRED", name="episodes_podcast_fkey"
    ),
    Index("episodes_episode_id", "episode_id"),
    Index("episodes_podcast", "podcast"),
    Index("episodes_sha256", "sha256"),
    Index("episodes_published_at", "published_at"),
    Index("episodes_metadata", "metadata", postgresql_using="gin", postgresql_ops={"metadata": "jsonb_path_ops"}),
)

SEGMENTS = Table(
    "segments",
    METADATA,
    _text("batch", nullable=False),
    _text("segment_id", nullable=False),
    _text("episode_id", nullable=False),
    Column("segment_index", Integer, nullable=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    Column("duration", Double, nullable=False),
    _text("speaker"),
    Column("overlap", Double),
    # null until the batch is transcribed
    *_texts("text language"),
    Column("language_probability", Double),
    _text("text_language"),
    *_numbers("avg_logprob no_speech_prob compression_ratio temperature uncovered_speech"),
    _text("text_punctuated"),
    _text("second_text"),
    Column("flags", _TEXTS, nullable=False),
    Column("redone", _TEXTS),
    Column("degraded", Boolean, nullable=False),
    *_texts("diarizer transcriber second_transcriber"),
    *_texts("split shard"),
    # what reviewers decided, from the store's table of reviewed segments; `reviewed` is null where they decided nothing
    Column("reviewed", Boolean),
    *_texts("review_standing text_reviewed"),
    Column("review_labels", _TEXTS),
    *_texts("speaker_reviewed speaker_name"),
    Column("review_flags", _TEXTS),
    PrimaryKeyConstraint("batch", "segment_id"),
    _of_batch("batch", "episode_id", table="episodes"),
    Index("segments_episode", "batch", "episode_id", "segment_index"),
    Index("segments_segment_id", "segment_id"),
)

WORDS = Table(
    "words",
    METADATA,
    _text("batch", nullable=False),
    _text("segment_id", nullable=False),
    Column("position", Integer, nullable=False),
    _text("word", nullable=False),
    *_numbers("start end probability"),
    PrimaryKeyConstraint("batch", "segment_id", "position"),
    _of_batch("batch", "segment_id", table="segments"),
)

SPEAKERS = Table(
    "speakers",
    METADATA,
    _text("batch", nullable=False),
    _text("episode_id", nullable=False),
    _text("speaker", nullable=False),
    Column("segments", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    PrimaryKeyConstraint("batch", "episode_id", "speaker"),
    _of_batch("batch", "episode_id", table="episodes"),
)

SCORES = Table(
    "scores",
    METADATA,
    _text("batch", nullable=False),
    _text("segment_id", nullable=False),
    *_numbers(
        "dnsmos_sig dnsmos_bak dnsmos_ovrl dnsmos_p808 snr_db clipping_share peak_db rms_db loudness_lufs bandwidth_hz "
        "source_bandwidth_hz speech_share music_share noise_share"
    ),
    Column("more_scores", JSONB(none_as_null=True)),
    *_numbers("chars_per_second words_per_second unique_word_share ngram_repetition"),
    _text("script"),
    Column("rate_ratio", Double),
    *_integers("loop_words same_text_segments"),
    _text("known_phrase"),
    *_numbers("digit_share uppercase_share punctuation_share"),
    Column("text_flags", _TEXTS),
    Column("hallucinated", Boolean),
    Column("reference_words", Integer),
    *_numbers("reference_wer reference_cer second_wer second_cer"),
    _text("text_digits"),
    Column("pii", _TEXTS),
    Column("keep", Boolean, nullable=False),
    Column("reject_reasons", _TEXTS, nullable=False),
    _text("policy"),
    PrimaryKeyConstraint("batch", "segment_id"),
    _of_batch("batch", "segment_id", table="segments"),
)

CONTENT_FLAGS = Table(
    "content_flags",
    METADATA,
    _text("batch", nullable=False),
    _text("episode_id", nullable=False),
    _text("policy", nullable=False),
    *_texts("policy_version policy_hash"),
    Column("window", Integer, nullable=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    Column("segment_ids", _TEXTS, nullable=False),
    _text("label", nullable=False),
    _text("label_name"),
    *_numbers("probability threshold"),
    _text("verdict", nullable=False),
    *_texts("reason engine model"),
    # on the row of a window's first label, as in the store
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    Column("price", Double),
    Column("degraded", Boolean),
    # whether a segment of the window has another text now than the one that was judged
    Column("outdated", Boolean, nullable=False, server_default=text("false")),
    Column("judged_at", _MOMENT),
    PrimaryKeyConstraint("batch", "episode_id", "policy", "window", "label"),
    _of_batch("batch", "episode_id", table="episodes"),
    Index("content_flags_judged", "judged_at", postgresql_where=text("verdict IN ('flagged', 'needs_review')")),
    Index("content_flags_label", "policy", "label", "probability"),
    Index("content_flags_segments", "segment_ids", postgresql_using="gin"),
)

PHRASES = Table(
    "phrases",
    METADATA,
    # hash of all other columns, so that a phrase that stays the same keeps its embedding
    Column("phrase", Uuid, primary_key=True),
    _text("batch", nullable=False),
    _text("episode_id", nullable=False),
    Column("phrase_index", Integer, nullable=False),
    Column("segment_ids", _TEXTS, nullable=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    *_texts("speaker language"),
    # text search configuration, as `english`
    _text("configuration", nullable=False),
    _text("text", nullable=False),
    Column("terms", TSVECTOR, nullable=False),
    # not of an episode: a load removes and adds the rows of episodes that change
    _of_batch(),
    Index("phrases_place", "batch", "episode_id", "phrase_index", unique=True),
    Index("phrases_configuration", "configuration"),
    Index("phrases_terms", "terms", postgresql_using="gin"),
)
"""What searches find; see `catalog.search`. Its vectors are in `embeddings`, which only servers with pgvector have."""

FAILURES = Table(
    "failures",
    METADATA,
    _text("batch", nullable=False),
    _text("stage", nullable=False),
    _text("episode_id", nullable=False),
    *_texts("source error_type message traceback"),
    Column("permanent", Boolean),
    Column("attempts", Integer),
    Column("failed_at", _MOMENT),
    PrimaryKeyConstraint("batch", "stage", "episode_id"),
    _of_batch(),
)

PROVENANCE = Table(
    "provenance",
    METADATA,
    _text("batch", nullable=False),
    _text("stage", nullable=False),
    _text("episode_id", nullable=False),
    Column("rows", BigInteger),
    *_texts("engine fallback node gpu"),
    *_numbers("audio_seconds seconds"),
    Column("finished_at", _MOMENT),
    PrimaryKeyConstraint("batch", "stage", "episode_id"),
    _of_batch(),
    Index("provenance_finished_at", "stage", "finished_at"),
)

TAKEDOWNS = Table(
    "takedowns",
    METADATA,
    _text("takedown", primary_key=True),
    _text("scope", nullable=False),
    _text("target", nullable=False),
    *_texts("reason by"),
    Column("at", _MOMENT, nullable=False),
    Column("finished_at", _MOMENT),
    Column("episodes", _TEXTS, nullable=False),
)

USERS = Table(
    "users",
    METADATA,
    Column("user_id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    # lower case
    _text("name", nullable=False, unique=True),
    # argon2id; null for users who come through a proxy only
    _text("password_hash"),
    _text("role", nullable=False),
    Column("disabled_at", _MOMENT),
    _now("created_at"),
    info=KEPT | PRIVATE,
)
"""People who review."""

SESSIONS = Table(
    "sessions",
    METADATA,
    # of a login, or of a link that makes one; SHA-256 of what the browser has
    _text("token_hash", primary_key=True),
    Column("user_id", Uuid, nullable=False),
    _text("kind", nullable=False, server_default=text("'session'")),
    _now("created_at"),
    _now("seen_at"),
    Column("expires_at", _MOMENT, nullable=False),
    _of_user(),
    Index("sessions_user", "user_id"),
    Index("sessions_expires_at", "expires_at"),
    info=PRIVATE,
)

LOGIN_FAILURES = Table(
    "login_failures",
    METADATA,
    Column("failure_id", BigInteger, Identity(always=True), primary_key=True),
    _now("at"),
    _text("name", nullable=False),
    _text("address", nullable=False),
    Index("login_failures_name", "name", "at"),
    Index("login_failures_address", "address", "at"),
    info=PRIVATE,
)

TOKENS = Table(
    "tokens",
    METADATA,
    Column("token_id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    _text("name", nullable=False, unique=True),
    _text("secret_hash", nullable=False, unique=True),
    Column("scopes", _TEXTS, nullable=False),
    _now("created_at"),
    Column("disabled_at", _MOMENT),
    Column("last_used_at", _MOMENT),
    info=KEPT | PRIVATE,
)
"""Programs that use the HTTP interface."""

AUDIT = Table(
    "audit",
    METADATA,
    Column("audit_id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    _now("at"),
    Column("user_id", Uuid),
    *_texts("name address"),
    _text("what", nullable=False),
    Column("detail", JSONB(none_as_null=True)),
    Index("audit_at", "at"),
    info=KEPT | PRIVATE,
)
"""Logins, accounts, tokens, exports and other events that somebody may ask about later."""

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("decision_id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    _text("item_kind", nullable=False, server_default=text("'segment'")),
    # no foreign keys: what people said outlives the rows that it was said of
    _text("batch"),
    _text("episode_id", nullable=False),
    # id of the segment, the window or the failure (review/refs.py)
    _text("item_id"),
    _text("queue"),
    _text("action", nullable=False),
    *_texts("policy policy_version policy_hash label"),
    Column("value", JSONB(none_as_null=True)),
    Column("previous", JSONB(none_as_null=True)),
    Column("shown", JSONB(none_as_null=True)),
    Column("confidence", Double),
    _text("note"),
    # s, from the moment the item was shown
    Column("seconds", Double),
    # 1, 2, or 3 for an adjudication
    Column("look", SmallInteger),
    Column("undoes", Uuid),
    Column("user_id", Uuid),
    _text("decided_by", nullable=False, server_default=text("SESSION_USER")),
    _text("role"),
    # groups what one login decided
    _text("session"),
    Column("decided_at", _MOMENT, nullable=False, server_default=text("clock_timestamp()")),
    Column("reported_at", _MOMENT),
    Index("decisions_episode", "episode_id", "item_id"),
    Index("decisions_item", "batch", "item_kind", "item_id"),
    Index("decisions_user", "user_id", "decided_at"),
    Index("decisions_decided_at", "decided_at"),
    Index("decisions_undoes", "undoes", unique=True),
    Index("decisions_names", "decided_at", postgresql_where=text("action = 'rename_speaker'")),
    info=KEPT,
)
"""What reviewers said. Rows are added and never changed, except that a takedown empties their texts: a trigger refuses the rest."""

SAMPLES = Table(
    "samples",
    METADATA,
    _text("sample", nullable=False),
    _text("item_kind", nullable=False, server_default=text("'segment'")),
    _text("batch", nullable=False),
    _text("episode_id", nullable=False),
    _text("item_id", nullable=False),
    _text("stratum"),
    # how many segments, or seconds, of the stratum this one stands for
    Column("weight", Double),
    _now("drawn_at"),
    PrimaryKeyConstraint("sample", "item_kind", "batch", "item_id"),
    Index("samples_batch", "batch"),
    info=KEPT,
)
"""Samples that were drawn to measure errors; each of their items is reviewed twice."""

QUEUE_ITEMS = Table(
    "queue_items",
    METADATA,
    _text("queue", nullable=False),
    _text("item_kind", nullable=False),
    _text("batch", nullable=False),
    _text("item_id", nullable=False),
    _text("episode_id", nullable=False),
    *_texts("podcast language policy"),
    # the lowest comes first
    Column("priority", Double, nullable=False),
    # how many reviewers must look at it: 1 or 2
    Column("looks", SmallInteger, nullable=False),
    # which look is next; null once it is reviewed
    Column("look", SmallInteger),
    # who has decided or skipped it
    Column("seen_by", ARRAY(Uuid), nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("queue", "batch", "item_kind", "item_id"),
    _of_batch(),
    Index(
        "queue_items_open", "queue", text("look DESC"), "priority", "item_id", postgresql_where=text("look IS NOT NULL")
    ),
    Index("queue_items_item", "batch", "item_kind", "item_id"),
    Index("queue_items_episode", "batch", "episode_id"),
)
"""What is to be reviewed. Made from the other tables and the decisions (review/queues), so that it may be emptied at any time."""

QUEUE_BATCHES = Table(
    "queue_batches",
    METADATA,
    _text("batch", primary_key=True),
    # of the batch when its items were queued
    Column("loaded_at", _MOMENT, nullable=False),
    _text("criteria", nullable=False),
    _of_batch(),
)

LEASES = Table(
    "leases",
    METADATA,
    _text("item_kind", nullable=False),
    _text("batch", nullable=False),
    _text("item_id", nullable=False),
    Column("look", SmallInteger, nullable=False),
    _text("episode_id", nullable=False),
    _text("queue", nullable=False),
    Column("user_id", Uuid, nullable=False),
    _now("since"),
    Column("until", _MOMENT, nullable=False),
    PrimaryKeyConstraint("batch", "item_kind", "item_id", "look"),
    _of_user(),
    Index("leases_user", "user_id"),
)
"""Who is at work on what, and until when nobody else gets it."""


def quoting_columns(action: str) -> tuple[str, ...]:
    """Columns of a decision that quote what was said, by its action. Labels of a moderation policy do not."""
    quoting = ("previous", "shown", "note")
    return quoting if action == "label" else ("value", *quoting)


def kept_tables() -> list[Table]:
    """Return the tables that a rebuild keeps."""
    return [table for table in METADATA.sorted_tables if table.info.get("kept")]
