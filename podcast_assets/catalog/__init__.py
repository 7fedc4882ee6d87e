"""The catalog in PostgreSQL: tables, migrations, loading and search. What the store holds, for people and queries."""
