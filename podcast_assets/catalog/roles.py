"""Group roles of the catalog, which an administrator grants to the users of people and programs. None can log in."""

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from podcast_assets.catalog.tables import (
    AUDIT,
    DECISIONS,
    LEASES,
    METADATA,
    QUEUE_BATCHES,
    QUEUE_ITEMS,
    SAMPLES,
    SCHEMA,
    kept_tables,
    quoting_columns,
)

READER, REVIEWER, LOADER = f"{SCHEMA}_reader", f"{SCHEMA}_reviewer", f"{SCHEMA}_loader"
"""The reader reads everything but accounts, the reviewer also adds decisions, the loader also fills what comes from the store."""
PAGE = f"{SCHEMA}_page"
"""Of the review page and the HTTP interface: also reads and writes accounts, queues and leases."""
ROLES = (READER, REVIEWER, LOADER, PAGE)


def grant_roles(connection: Connection) -> str | None:
    """Create the roles that do not exist, and grant them their rights, also on tables that a migration added.

    Returns:
        None, or why there are no such roles: the user may not create them.
    """
    existing = set(
        connection.scalars(text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)"), {"names": [*ROLES]})
    )
    try:
        with connection.begin_nested():
            for role in ROLES:
                if role not in existing:
                    connection.execute(text(f"CREATE ROLE {role} NOLOGIN"))
    except ProgrammingError:
        missing = ", ".join(role for role in ROLES if role not in existing)
        return (
            f"the roles {missing} were not created, because this user may not: let an administrator run "
            f"{'; '.join(f'CREATE ROLE {role} NOLOGIN' for role in ROLES if role not in existing)}, and migrate again"
        )
    for statement in _grants():
        connection.execute(text(statement))
    if connection.execute(text(f"SELECT to_regclass('{SCHEMA}.embeddings')")).scalar() is not None:
        connection.execute(text(f"GRANT INSERT, UPDATE, DELETE ON {SCHEMA}.embeddings TO {LOADER}"))
    return None


def _grants() -> list[str]:
    private = [table for table in METADATA.sorted_tables if table.info.get("private")]
    kept = [*private, *kept_tables()]
    filled = ", ".join(f"{SCHEMA}.{table.name}" for table in METADATA.sorted_tables if table not in kept)
    accounts = ", ".join(f"{SCHEMA}.{table.name}" for table in private)
    queues = ", ".join(f"{SCHEMA}.{table.name}" for table in (QUEUE_ITEMS, QUEUE_BATCHES, LEASES, SAMPLES))
    everybody = ", ".join(ROLES)
    return [
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {everybody}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {everybody}",
        f"REVOKE ALL ON {accounts} FROM {READER}, {REVIEWER}, {LOADER}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {accounts}, {queues} TO {PAGE}",
        f"REVOKE UPDATE, DELETE ON {SCHEMA}.{AUDIT.name} FROM {PAGE}",
        f"GRANT INSERT, UPDATE (reported_at) ON {SCHEMA}.{DECISIONS.name} TO {PAGE}",
        f"GRANT INSERT ON {SCHEMA}.{DECISIONS.name} TO {REVIEWER}",
        f"GRANT INSERT, UPDATE, DELETE ON {filled} TO {LOADER}",
        # a takedown empties what quotes the episode
        f"GRANT UPDATE ({', '.join(quoting_columns('text'))}) ON {SCHEMA}.{DECISIONS.name} TO {LOADER}",
        f"GRANT DELETE ON {SCHEMA}.{SAMPLES.name} TO {LOADER}",
    ]
