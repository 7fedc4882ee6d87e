"""Tables and views of the first version."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE podcast_catalog.batches (
        batch TEXT NOT NULL,
        version TEXT NOT NULL,
        words BOOLEAN NOT NULL,
        loaded_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (batch)
    )
    """,
    """
    CREATE TABLE podcast_catalog.decisions (
        decision_id UUID DEFAULT gen_random_uuid() NOT NULL,
        batch TEXT,
        episode_id TEXT NOT NULL,
        segment_id TEXT,
        policy TEXT,
        policy_version TEXT,
        label TEXT,
        decision TEXT NOT NULL,
        note TEXT,
        corrected_text TEXT,
        decided_by TEXT DEFAULT SESSION_USER NOT NULL,
        decided_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (decision_id)
    )
    """,
    """
    CREATE INDEX decisions_episode ON podcast_catalog.decisions (episode_id, segment_id)
    """,
    """
    CREATE TABLE podcast_catalog.podcasts (
        podcast TEXT NOT NULL,
        podcast_id TEXT,
        title TEXT,
        PRIMARY KEY (podcast)
    )
    """,
    """
    CREATE TABLE podcast_catalog.takedowns (
        takedown TEXT NOT NULL,
        scope TEXT NOT NULL,
        target TEXT NOT NULL,
        reason TEXT,
        by TEXT,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        finished_at TIMESTAMP WITH TIME ZONE,
        episodes TEXT[] NOT NULL,
        PRIMARY KEY (takedown)
    )
    """,
    """
    CREATE TABLE podcast_catalog.episodes (
        batch TEXT NOT NULL,
        episode_id TEXT NOT NULL,
        podcast TEXT,
        source TEXT NOT NULL,
        status TEXT NOT NULL,
        error TEXT,
        duplicate_of TEXT,
        also_in TEXT,
        title TEXT,
        podcast_title TEXT,
        podcast_id TEXT,
        language TEXT,
        license TEXT,
        url TEXT,
        published_at TIMESTAMP WITH TIME ZONE,
        sha256 TEXT,
        md5 TEXT,
        bytes BIGINT,
        container TEXT,
        codec TEXT,
        sample_rate INTEGER,
        channels INTEGER,
        audio_streams INTEGER,
        bit_rate BIGINT,
        has_video BOOLEAN,
        duration DOUBLE PRECISION,
        declared_duration DOUBLE PRECISION,
        gap_seconds DOUBLE PRECISION,
        tracks TEXT,
        original TEXT,
        working TEXT,
        opus TEXT,
        metadata JSONB,
        warnings JSONB,
        fingerprint TEXT,
        PRIMARY KEY (batch, episode_id),
        FOREIGN KEY(batch) REFERENCES podcast_catalog.batches (batch)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        CONSTRAINT episodes_podcast_fkey FOREIGN KEY(podcast) REFERENCES podcast_catalog.podcasts (podcast)
            DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
    CREATE INDEX episodes_episode_id ON podcast_catalog.episodes (episode_id)
    """,
    """
    CREATE INDEX episodes_metadata ON podcast_catalog.episodes USING gin (metadata jsonb_path_ops)
    """,
    """
    CREATE INDEX episodes_podcast ON podcast_catalog.episodes (podcast)
    """,
    """
    CREATE INDEX episodes_published_at ON podcast_catalog.episodes (published_at)
    """,
    """
    CREATE INDEX episodes_sha256 ON podcast_catalog.episodes (sha256)
    """,
    """
    CREATE TABLE podcast_catalog.failures (
        batch TEXT NOT NULL,
        stage TEXT NOT NULL,
        episode_id TEXT NOT NULL,
        source TEXT,
        error_type TEXT,
        message TEXT,
        traceback TEXT,
        permanent BOOLEAN,
        attempts INTEGER,
        failed_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (batch, stage, episode_id),
        FOREIGN KEY(batch) REFERENCES podcast_catalog.batches (batch)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
    CREATE TABLE podcast_catalog.provenance (
        batch TEXT NOT NULL,
        stage TEXT NOT NULL,
        episode_id TEXT NOT NULL,
        rows BIGINT,
        engine TEXT,
        fallback TEXT,
        node TEXT,
        gpu TEXT,
        audio_seconds DOUBLE PRECISION,
        seconds DOUBLE PRECISION,
        finished_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (batch, stage, episode_id),
        FOREIGN KEY(batch) REFERENCES podcast_catalog.batches (batch)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
    CREATE INDEX provenance_finished_at ON podcast_catalog.provenance (stage, finished_at)
    """,
    """
    CREATE TABLE podcast_catalog.content_flags (
        batch TEXT NOT NULL,
        episode_id TEXT NOT NULL,
        policy TEXT NOT NULL,
        policy_version TEXT,
        policy_hash TEXT,
        "window" INTEGER NOT NULL,
        start DOUBLE PRECISION NOT NULL,
        "end" DOUBLE PRECISION NOT NULL,
        segment_ids TEXT[] NOT NULL,
        label TEXT NOT NULL,
        label_name TEXT,
        probability DOUBLE PRECISION,
        threshold DOUBLE PRECISION,
        verdict TEXT NOT NULL,
        reason TEXT,
        engine TEXT,
        model TEXT,
        tokens_in BIGINT,
        tokens_out BIGINT,
        price DOUBLE PRECISION,
        degraded BOOLEAN,
        outdated BOOLEAN DEFAULT false NOT NULL,
        judged_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (batch, episode_id, policy, "window", label),
        FOREIGN KEY(batch, episode_id) REFERENCES podcast_catalog.episodes (batch, episode_id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
    CREATE INDEX content_flags_judged ON podcast_catalog.content_flags (judged_at) WHERE verdict IN ('flagged', 'needs_review')
    """,
    """
    CREATE INDEX content_flags_label ON podcast_catalog.content_flags (policy, label, probability)
    """,
    """
    CREATE INDEX content_flags_segments ON podcast_catalog.content_flags USING gin (segment_ids)
    """,
    """
    CREATE TABLE podcast_catalog.segments (
        batch TEXT NOT NULL,
        segment_id TEXT NOT NULL,
        episode_id TEXT NOT NULL,
        segment_index INTEGER NOT NULL,
        start DOUBLE PRECISION NOT NULL,
        "end" DOUBLE PRECISION NOT NULL,
        duration DOUBLE PRECISION NOT NULL,
        speaker TEXT,
        overlap DOUBLE PRECISION,
        text TEXT,
        language TEXT,
        language_probability DOUBLE PRECISION,
        text_language TEXT,
        avg_logprob DOUBLE PRECISION,
        no_speech_prob DOUBLE PRECISION,
        compression_ratio DOUBLE PRECISION,
        temperature DOUBLE PRECISION,
        uncovered_speech DOUBLE PRECISION,
        text_punctuated TEXT,
        second_text TEXT,
        flags TEXT[] NOT NULL,
        redone TEXT[],
        degraded BOOLEAN NOT NULL,
        diarizer TEXT,
        transcriber TEXT,
        second_transcriber TEXT,
        split TEXT,
        shard TEXT,
        PRIMARY KEY (batch, segment_id),
        FOREIGN KEY(batch, episode_id) REFERENCES podcast_catalog.episodes (batch, episode_id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
    CREATE INDEX segments_episode ON podcast_catalog.segments (batch, episode_id, segment_index)
    """,
    """
    CREATE INDEX segments_segment_id ON podcast_catalog.segments (segment_id)
    """,
    """
    CREATE TABLE podcast_catalog.speakers (
        batch TEXT NOT NULL,
        episode_id TEXT NOT NULL,
        speaker TEXT NOT NULL,
        segments INTEGER NOT NULL,
        seconds DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (batch, episode_id, speaker),
        FOREIGN KEY(batch, episode_id) REFERENCES podcast_catalog.episodes (batch, episode_id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
    CREATE TABLE podcast_catalog.scores (
        batch TEXT NOT NULL,
        segment_id TEXT NOT NULL,
        dnsmos_sig DOUBLE PRECISION,
        dnsmos_bak DOUBLE PRECISION,
        dnsmos_ovrl DOUBLE PRECISION,
        dnsmos_p808 DOUBLE PRECISION,
        snr_db DOUBLE PRECISION,
        clipping_share DOUBLE PRECISION,
        peak_db DOUBLE PRECISION,
        rms_db DOUBLE PRECISION,
        loudness_lufs DOUBLE PRECISION,
        bandwidth_hz DOUBLE PRECISION,
        source_bandwidth_hz DOUBLE PRECISION,
        speech_share DOUBLE PRECISION,
        music_share DOUBLE PRECISION,
        noise_share DOUBLE PRECISION,
        more_scores JSONB,
        chars_per_second DOUBLE PRECISION,
        words_per_second DOUBLE PRECISION,
        unique_word_share DOUBLE PRECISION,
        ngram_repetition DOUBLE PRECISION,
        script TEXT,
        rate_ratio DOUBLE PRECISION,
        loop_words INTEGER,
        same_text_segments INTEGER,
        known_phrase TEXT,
        digit_share DOUBLE PRECISION,
        uppercase_share DOUBLE PRECISION,
        punctuation_share DOUBLE PRECISION,
        text_flags TEXT[],
        hallucinated BOOLEAN,
        reference_words INTEGER,
        reference_wer DOUBLE PRECISION,
        reference_cer DOUBLE PRECISION,
        second_wer DOUBLE PRECISION,
        second_cer DOUBLE PRECISION,
        text_digits TEXT,
        pii TEXT[],
        keep BOOLEAN NOT NULL,
        reject_reasons TEXT[] NOT NULL,
        policy TEXT,
        PRIMARY KEY (batch, segment_id),
        FOREIGN KEY(batch, segment_id) REFERENCES podcast_catalog.segments (batch, segment_id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
    CREATE TABLE podcast_catalog.words (
        batch TEXT NOT NULL,
        segment_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        word TEXT NOT NULL,
        start DOUBLE PRECISION,
        "end" DOUBLE PRECISION,
        probability DOUBLE PRECISION,
        PRIMARY KEY (batch, segment_id, position),
        FOREIGN KEY(batch, segment_id) REFERENCES podcast_catalog.segments (batch, segment_id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    )
    """,
)

_VIEWS = {
    "audio_files": """
        SELECT batch, episode_id, source AS filename, original AS path, title, podcast_title AS podcast, podcast_id, language,
               license, sha256, md5, bytes, codec, sample_rate, channels, duration, status, error, metadata, published_at
        FROM podcast_catalog.episodes
    """,
    "transcripts": """
        SELECT s.batch, s.segment_id, s.episode_id, s.segment_index, s.start, s."end", s.duration, s.speaker, s.text, s.language,
               s.transcriber AS engine, q.keep, q.reject_reasons, q.dnsmos_ovrl, q.snr_db
        FROM podcast_catalog.segments s LEFT JOIN podcast_catalog.scores q USING (batch, segment_id)
        WHERE s.text IS NOT NULL
    """,
    "classifications": """
        SELECT batch, episode_id, policy, policy_version, label, label_name, "window", start, "end", segment_ids, probability,
               threshold, verdict, verdict = 'flagged' AS flagged, reason, engine, model, outdated, judged_at
        FROM podcast_catalog.content_flags
    """,
    "ra_queue": """
        SELECT f.batch, f.episode_id, e.title, e.podcast_title AS podcast, f.policy, f.label, f.label_name, f.start, f."end",
               f.segment_ids, f.probability, f.threshold, f.verdict, f.reason, f.judged_at, e.duration
        FROM podcast_catalog.content_flags f JOIN podcast_catalog.episodes e USING (batch, episode_id)
        WHERE f.verdict IN ('flagged', 'needs_review') AND f.judged_at >= now() - interval '24 hours' AND NOT f.outdated
    """,
    "daily_stats": """
        WITH hours AS (
            SELECT generate_series(
                date_trunc('hour', now()) - interval '7 days' + interval '1 hour', date_trunc('hour', now()), interval '1 hour'
            ) AS hour
        ), work AS (
            SELECT date_trunc('hour', finished_at) AS hour,
                   count(*) FILTER (WHERE stage = 'ingest') AS ingested,
                   count(*) FILTER (WHERE stage = 'transcribe') AS transcribed,
                   sum(audio_seconds) FILTER (WHERE stage = 'transcribe') AS transcribed_seconds,
                   count(*) FILTER (WHERE stage = 'score') AS scored,
                   count(*) FILTER (WHERE stage = 'moderate') AS moderated
            FROM podcast_catalog.provenance
            WHERE finished_at >= date_trunc('hour', now()) - interval '7 days' + interval '1 hour'
              AND stage IN ('ingest', 'transcribe', 'score', 'moderate')
            GROUP BY 1
        ), flagged AS (
            SELECT date_trunc('hour', judged_at) AS hour, count(*) FILTER (WHERE verdict = 'flagged') AS flags,
                   count(*) FILTER (WHERE verdict = 'needs_review') AS needs_review
            FROM podcast_catalog.content_flags
            WHERE verdict IN ('flagged', 'needs_review')
              AND judged_at >= date_trunc('hour', now()) - interval '7 days' + interval '1 hour'
            GROUP BY 1
        ), failed AS (
            SELECT date_trunc('hour', failed_at) AS hour, count(*) AS failures
            FROM podcast_catalog.failures
            WHERE failed_at >= date_trunc('hour', now()) - interval '7 days' + interval '1 hour'
            GROUP BY 1
        )
        SELECT hour, hour::date AS day,
               coalesce(ingested, 0) AS ingested, coalesce(transcribed, 0) AS transcribed,
               coalesce(transcribed_seconds, 0) / 3600 AS transcribed_hours,
               coalesce(scored, 0) AS scored, coalesce(moderated, 0) AS moderated,
               coalesce(flags, 0) AS flags, coalesce(needs_review, 0) AS needs_review, coalesce(failures, 0) AS failures
        FROM hours LEFT JOIN work USING (hour) LEFT JOIN flagged USING (hour) LEFT JOIN failed USING (hour)
    """,
}


def upgrade() -> None:
    """Create everything."""
    for statement in _TABLES:
        op.execute(statement)
    for name, query in _VIEWS.items():
        op.execute(f"CREATE VIEW podcast_catalog.{name} AS {query}")
