"""What Alembic executes around the migrations. The caller gives the connection, in `Config.attributes`."""

from alembic import context

from podcast_assets.catalog.tables import METADATA, SCHEMA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    # Dagster has an alembic_version of its own, and may use the same database
    version_table="schema_version",
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=lambda name, kind, _parents: name == SCHEMA if kind == "schema" else True,
    # all or nothing: a migration that fails leaves the schema as it was
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
