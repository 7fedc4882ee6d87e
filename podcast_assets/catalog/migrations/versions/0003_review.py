"""Review: users, sessions, tokens, queues, leases, samples and the audit log; decisions say more, and are append-only."""

from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    """
    CREATE TABLE podcast_catalog.users (
        user_id UUID DEFAULT gen_random_uuid() NOT NULL,
        name TEXT NOT NULL,
        password_hash TEXT,
        role TEXT NOT NULL,
        disabled_at TIMESTAMP WITH TIME ZONE,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (user_id),
        UNIQUE (name),
        CHECK (role IN ('reviewer', 'adjudicator', 'admin'))
    )
    """,
    """
    CREATE TABLE podcast_catalog.sessions (
        token_hash TEXT NOT NULL,
        user_id UUID NOT NULL,
        kind TEXT DEFAULT 'session' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (token_hash),
        FOREIGN KEY(user_id) REFERENCES podcast_catalog.users (user_id) ON DELETE CASCADE,
        CHECK (kind IN ('session', 'link'))
    )
    """,
    "CREATE INDEX sessions_expires_at ON podcast_catalog.sessions (expires_at)",
    "CREATE INDEX sessions_user ON podcast_catalog.sessions (user_id)",
    """
    CREATE TABLE podcast_catalog.login_failures (
        failure_id BIGINT GENERATED ALWAYS AS IDENTITY,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        name TEXT NOT NULL,
        address TEXT NOT NULL,
        PRIMARY KEY (failure_id)
    )
    """,
    "CREATE INDEX login_failures_address ON podcast_catalog.login_failures (address, at)",
    "CREATE INDEX login_failures_name ON podcast_catalog.login_failures (name, at)",
    """
    CREATE TABLE podcast_catalog.tokens (
        token_id UUID DEFAULT gen_random_uuid() NOT NULL,
        name TEXT NOT NULL,
        secret_hash TEXT NOT NULL,
        scopes TEXT[] NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        disabled_at TIMESTAMP WITH TIME ZONE,
        last_used_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (token_id),
        UNIQUE (name),
        UNIQUE (secret_hash)
    )
    """,
    """
    CREATE TABLE podcast_catalog.audit (
        audit_id UUID DEFAULT gen_random_uuid() NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        user_id UUID,
        name TEXT,
        address TEXT,
        what TEXT NOT NULL,
        detail JSONB,
        PRIMARY KEY (audit_id)
    )
    """,
    "CREATE INDEX audit_at ON podcast_catalog.audit (at)",
    """
    CREATE TABLE podcast_catalog.samples (
        sample TEXT NOT NULL,
        item_kind TEXT DEFAULT 'segment' NOT NULL,
        batch TEXT NOT NULL,
        episode_id TEXT NOT NULL,
        item_id TEXT NOT NULL,
        stratum TEXT,
        weight DOUBLE PRECISION,
        drawn_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (sample, item_kind, batch, item_id)
    )
    """,
    "CREATE INDEX samples_batch ON podcast_catalog.samples (batch)",
    """
    CREATE TABLE podcast_catalog.queue_items (
        queue TEXT NOT NULL,
        item_kind TEXT NOT NULL,
        batch TEXT NOT NULL,
        item_id TEXT NOT NULL,
        episode_id TEXT NOT NULL,
        podcast TEXT,
        language TEXT,
        policy TEXT,
        priority DOUBLE PRECISION NOT NULL,
        looks SMALLINT NOT NULL,
        look SMALLINT,
        seen_by UUID[] DEFAULT '{}' NOT NULL,
        PRIMARY KEY (queue, batch, item_kind, item_id),
        FOREIGN KEY(batch) REFERENCES podcast_catalog.batches (batch) ON DELETE CASCADE
            DEFERRABLE INITIALLY DEFERRED
    )
    """,
    "CREATE INDEX queue_items_episode ON podcast_catalog.queue_items (batch, episode_id)",
    "CREATE INDEX queue_items_item ON podcast_catalog.queue_items (batch, item_kind, item_id)",
    """
    CREATE INDEX queue_items_open ON podcast_catalog.queue_items (queue, look DESC, priority, item_id)
        WHERE look IS NOT NULL
    """,
    """
    CREATE TABLE podcast_catalog.queue_batches (
        batch TEXT NOT NULL,
        loaded_at TIMESTAMP WITH TIME ZONE NOT NULL,
        criteria TEXT NOT NULL,
        PRIMARY KEY (batch),
        FOREIGN KEY(batch) REFERENCES podcast_catalog.batches (batch) ON DELETE CASCADE
            DEFERRABLE INITIALLY DEFERRED
    )
    """,
    """
    CREATE TABLE podcast_catalog.leases (
        item_kind TEXT NOT NULL,
        batch TEXT NOT NULL,
        item_id TEXT NOT NULL,
        look SMALLINT NOT NULL,
        episode_id TEXT NOT NULL,
        queue TEXT NOT NULL,
        user_id UUID NOT NULL,
        since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        until TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (batch, item_kind, item_id, look),
        FOREIGN KEY(user_id) REFERENCES podcast_catalog.users (user_id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX leases_user ON podcast_catalog.leases (user_id)",
)

_DECISIONS = (
    "ALTER TABLE podcast_catalog.decisions RENAME COLUMN segment_id TO item_id",
    "ALTER TABLE podcast_catalog.decisions RENAME COLUMN decision TO action",
    """
    ALTER TABLE podcast_catalog.decisions
        ADD COLUMN item_kind TEXT DEFAULT 'segment' NOT NULL CHECK (item_kind IN ('segment', 'window', 'failure')),
        ADD COLUMN queue TEXT,
        ADD COLUMN policy_hash TEXT,
        ADD COLUMN value JSONB,
        ADD COLUMN previous JSONB,
        ADD COLUMN shown JSONB,
        ADD COLUMN confidence DOUBLE PRECISION CHECK (confidence BETWEEN 0 AND 1),
        ADD COLUMN seconds DOUBLE PRECISION,
        ADD COLUMN look SMALLINT CHECK (look BETWEEN 1 AND 3),
        ADD COLUMN undoes UUID,
        ADD COLUMN user_id UUID,
        ADD COLUMN role TEXT,
        ADD COLUMN session TEXT,
        ADD COLUMN reported_at TIMESTAMP WITH TIME ZONE,
        ADD CHECK ((action = 'undo') = (undoes IS NOT NULL))
    """,
    # two decisions of one transaction have an order
    "ALTER TABLE podcast_catalog.decisions ALTER COLUMN decided_at SET DEFAULT clock_timestamp()",
    """
    UPDATE podcast_catalog.decisions SET value = jsonb_build_object('text', corrected_text) WHERE corrected_text IS NOT NULL
    """,
    "ALTER TABLE podcast_catalog.decisions DROP COLUMN corrected_text",
    "CREATE INDEX decisions_item ON podcast_catalog.decisions (batch, item_kind, item_id)",
    "CREATE INDEX decisions_user ON podcast_catalog.decisions (user_id, decided_at)",
    "CREATE INDEX decisions_decided_at ON podcast_catalog.decisions (decided_at)",
    "CREATE INDEX decisions_names ON podcast_catalog.decisions (decided_at) WHERE action = 'rename_speaker'",
    "CREATE UNIQUE INDEX decisions_undoes ON podcast_catalog.decisions (undoes)",
    # what may become null are texts and what quotes them: a takedown removes them; and reported_at may be set once
    """
    CREATE FUNCTION podcast_catalog.keep_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF to_jsonb(NEW) - '{value,previous,shown,note,reported_at}'::text[]
                    IS NOT DISTINCT FROM to_jsonb(OLD) - '{value,previous,shown,note,reported_at}'::text[]
                AND (NEW.value IS NULL OR NEW.value IS NOT DISTINCT FROM OLD.value)
                AND (NEW.previous IS NULL OR NEW.previous IS NOT DISTINCT FROM OLD.previous)
                AND (NEW.shown IS NULL OR NEW.shown IS NOT DISTINCT FROM OLD.shown)
                AND (NEW.note IS NULL OR NEW.note IS NOT DISTINCT FROM OLD.note)
                AND (OLD.reported_at IS NULL OR NEW.reported_at IS NOT DISTINCT FROM OLD.reported_at)
            THEN
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'decisions are append-only: add another one that undoes it' USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
    """
    CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE ON podcast_catalog.decisions
        FOR EACH ROW EXECUTE FUNCTION podcast_catalog.keep_decisions()
    """,
    """
    CREATE TRIGGER decisions_no_truncate BEFORE TRUNCATE ON podcast_catalog.decisions
        FOR EACH STATEMENT EXECUTE FUNCTION podcast_catalog.keep_decisions()
    """,
)


def upgrade() -> None:
    """Create the tables, and extend the decisions."""
    for statement in (*_TABLES, *_DECISIONS):
        op.execute(statement)
