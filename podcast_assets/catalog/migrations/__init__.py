"""Migrations of the catalog, by Alembic. `env.py` runs them; `catalog.migrate` is what commands call."""
